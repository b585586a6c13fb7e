package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// zones have the odd cases: summer time of both hemispheres, a gap at
// midnight, half an hour, and none.
var zones = []string{"America/New_York", "Europe/Vienna", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"}

func parsed(t *testing.T, expression, zone string) *Timetable {
	t.Helper()
	table, err := Parse(expression, zone)
	if err != nil {
		t.Fatalf("%s in %s: %v", expression, zone, err)
	}
	return table
}

// TestA58EachSlotFiresAsPromised walks through years minute by minute, in
// jumps such as a clock makes that is set ahead, and holds what is due against
// what a person would read off a clock on the wall.
func TestA58EachSlotFiresAsPromised(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	slots := 0
	for _, zone := range zones {
		for range 3 {
			hour, minute := random.IntN(24), random.IntN(60)
			if random.IntN(2) == 0 {
				hour = random.IntN(4) // where clocks change
			}
			table := parsed(t, fmt.Sprintf("%d %d * * *", minute, hour), zone)
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			from := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
			until := from.AddDate(2, 0, 0)
			var want []time.Time
			fired := -1 // day of the year it last fired on
			before := asUTC(from.Add(-time.Minute).In(location))
			for now := from; now.Before(until); now = now.Add(time.Minute) {
				wall := asUTC(now.In(location))
				aim := time.Date(wall.Year(), wall.Month(), wall.Day(), hour, minute, 0, 0, time.UTC)
				if day := wall.Year()*1000 + wall.YearDay(); day != fired && !wall.Before(aim) && (before.Before(aim) || before.YearDay() != wall.YearDay()) {
					if now != from || wall.Equal(aim) {
						want = append(want, now)
					}
					fired = day
				} else if aim.After(before) && wall.YearDay() != before.YearDay() && aim.YearDay() != wall.YearDay() {
					t.Fatal("the walk missed a day")
				}
				before = wall
			}
			at := from.Add(-time.Minute)
			for _, due := range want {
				next := table.Next(at)
				if !next.Equal(due) {
					t.Fatalf("%02d:%02d in %s after %s: %s, want %s (%s)", hour, minute, zone, at, next, due, due.In(location))
				}
				at = next
				slots++
			}
		}
	}
	if slots < 10_000 {
		t.Errorf("only %d slots were looked at", slots)
	}
}

func TestA58DaysOnWhichClocksChange(t *testing.T) {
	tests := []struct {
		expression, zone, after string
		want                    []string
	}{
		{"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}}, // in the gap: just after it
		{"0,30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"}},
		{"30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", []string{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}}, // comes twice: once
		{"30 * * * *", "America/New_York", "2026-11-01T04:45:00Z", []string{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"}},
		{"*/30 * * * *", "America/New_York", "2026-03-08T06:15:00Z", []string{"2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"}},
		{"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}}, // midnight is skipped
		{"@every 90m", "UTC", "2026-01-01T00:10:00Z", []string{"2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"}},
		{"0 9 * * 7", "Europe/Vienna", "2026-01-01T00:00:00Z", []string{"2026-01-04T08:00:00Z"}},
		{"0 9 * * 5-7", "UTC", "2026-01-01T00:00:00Z", []string{"2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z", "2026-01-04T09:00:00Z", "2026-01-09T09:00:00Z"}},
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
	}
	for _, tt := range tests {
		after, err := time.Parse(time.RFC3339, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		got := parsed(t, tt.expression, tt.zone).Coming(after, len(tt.want))
		for i, want := range tt.want {
			if i >= len(got) || got[i].Format(time.RFC3339) != want {
				t.Errorf("%s in %s: %v, want %v", tt.expression, tt.zone, got, tt.want)
				break
			}
		}
	}
}

func TestA55InvalidSchedulesSayWhichField(t *testing.T) {
	tests := map[string]struct{ expression, zone, field, words string }{
		"minute":           {"61 * * * *", "UTC", "minute", "minute"},
		"hour":             {"0 25 * * *", "UTC", "hour", "hour"},
		"day of month":     {"0 0 32 * *", "UTC", "day of month", "day of month"},
		"month":            {"0 0 1 13 *", "UTC", "month", "month"},
		"day of week":      {"0 0 * * 8", "UTC", "day of week", "day of week"},
		"no such day":      {"0 0 31 2 *", "UTC", "schedule", "no such day"},
		"too few":          {"* * * *", "UTC", "schedule", "five fields"},
		"too many":         {"0 0 9 * * *", "UTC", "schedule", "five fields"},
		"empty":            {"", "UTC", "schedule", "five fields"},
		"zone inside":      {"CRON_TZ=UTC 0 9 * * *", "UTC", "timeZone", "field of its own"},
		"bare zone":        {"TZ=America/New_York", "UTC", "timeZone", "field of its own"},
		"no zone":          {"0 9 * * *", "", "timeZone", "missing"},
		"unknown zone":     {"0 9 * * *", "Mars/Base", "timeZone", "Mars/Base"},
		"zone with a path": {"0 9 * * *", "../etc/passwd", "timeZone", "no time zone"},
		"every 0":          {"@every 0s", "UTC", "schedule", "too often"},
		"every negative":   {"@every -1h", "UTC", "schedule", "too often"},
		"every second":     {"@every 1s", "UTC", "schedule", "too often"},
		"descriptor":       {"@sometimes", "UTC", "schedule", "@sometimes"},
		"step of zero":     {"*/0 * * * *", "UTC", "minute", "minute"},
		"reversed":         {"30-10 * * * *", "UTC", "minute", "minute"},
		"shell":            {"$(id) * * * *", "UTC", "minute", "minute"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.expression, tt.zone)
			known, ok := errors.AsType[*agent.Error](err)
			if !ok || known.Code != agent.CodeInvalidSchedule || known.Details["field"] != tt.field || !strings.Contains(known.Message, tt.words) || known.Fix == "" {
				t.Errorf("%v; %+v", err, known)
			}
		})
	}
}

func FuzzParseAndNext(f *testing.F) {
	for _, seed := range []string{"* * * * *", "0 9 * * 1-5", "@daily", "@every 1h30m", "TZ=0", "0 0 31 2 *", "*/7 */3 1,15 * 7"} {
		f.Add(seed, "Europe/Vienna", int64(1_767_225_600))
	}
	f.Fuzz(func(t *testing.T, expression, zone string, at int64) {
		table, err := Parse(expression, zone)
		if err != nil {
			return
		}
		after := time.Unix(at%4_000_000_000, 0)
		if next := table.Next(after); !next.IsZero() && !next.After(after) {
			t.Errorf("%q after %s is due at %s", expression, after, next)
		}
	})
}
