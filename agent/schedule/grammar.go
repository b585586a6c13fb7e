package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"hks.dev/hks/agent"
)

// Timetable tells when a job is due.
type Timetable struct {
	spec  cron.Schedule
	every time.Duration // of @every; else 0
	fixed bool          // it names minute and hour, so it is about the wall clock
	zone  *time.Location
}

var fieldNames = []string{"minute", "hour", "day of month", "month", "day of week"}

// The bounds of each field, and the words that it knows.
var fieldBounds = []struct{ least, most int }{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}

const leastEvery = time.Minute

// Parse reads a cron expression of five fields, or a descriptor such as
// @daily, in a time zone of its own. An error says which field is wrong.
func Parse(expression, zone string) (*Timetable, error) {
	location, err := location(zone)
	if err != nil {
		return nil, err
	}
	expression = strings.TrimSpace(expression)
	upper := strings.ToUpper(expression)
	if strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ=") {
		return nil, invalid("timeZone", expression, "the time zone is a field of its own", "take it out of the expression and give it with --tz")
	}
	t := &Timetable{zone: location}
	if strings.HasPrefix(expression, "@") {
		err = t.descriptor(expression)
	} else {
		err = t.fields(expression)
	}
	if err != nil {
		return nil, err
	}
	if t.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // a leap year: 29 February is in reach
		return nil, invalid("schedule", expression, "there is no such day", "no month has the day that it names")
	}
	return t, nil
}

func location(zone string) (*time.Location, error) {
	if zone == "" || zone == "Local" {
		return nil, invalid("timeZone", zone, "a time zone is missing", "name one, such as UTC or Europe/Vienna")
	}
	found, err := time.LoadLocation(zone)
	if err != nil {
		return nil, invalid("timeZone", zone, fmt.Sprintf("there is no time zone %q", zone), "give an IANA name, such as UTC, Europe/Vienna or America/New_York")
	}
	return found, nil
}

func (t *Timetable) descriptor(expression string) error {
	if text, ok := strings.CutPrefix(expression, "@every "); ok {
		every, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			return invalid("schedule", expression, fmt.Sprintf("%q is not a duration", text), "write it as @every 90m")
		}
		if every < leastEvery {
			return invalid("schedule", expression, fmt.Sprintf("@every %s is too often", text), "a minute is the least")
		}
		t.every = every.Round(time.Second)
		t.spec = cron.ConstantDelaySchedule{Delay: t.every}
		return nil
	}
	spec, err := parse(expression)
	if err != nil {
		return invalid("schedule", expression, fmt.Sprintf("there is no %q", expression), "known are @yearly, @monthly, @weekly, @daily, @hourly and @every DURATION")
	}
	t.spec, t.fixed = spec, expression != "@hourly"
	return nil
}

func (t *Timetable) fields(expression string) error {
	fields := strings.Fields(expression)
	if len(fields) != len(fieldNames) {
		return invalid("schedule", expression, fmt.Sprintf("a cron expression has five fields, this one has %d", len(fields)), "minute, hour, day of month, month, day of week: 0 9 * * 1-5 is nine o'clock on weekdays")
	}
	fields[4] = sundays(fields[4])
	for i, field := range fields {
		single := []string{"*", "*", "*", "*", "*"}
		single[i] = field
		if _, err := parse(strings.Join(single, " ")); err != nil {
			return invalid(fieldNames[i], field, fmt.Sprintf("the %s %q is not valid", fieldNames[i], strings.Fields(expression)[i]),
				fmt.Sprintf("it is *, a number from %d to %d, a range such as %d-%d, a list, or a step such as */5", fieldBounds[i].least, fieldBounds[i].most, fieldBounds[i].least, min(fieldBounds[i].least+4, fieldBounds[i].most)))
		}
	}
	spec, err := parse(strings.Join(fields, " "))
	if err != nil {
		return invalid("schedule", expression, "it is not a cron expression: "+err.Error(), "write it as: 0 9 * * 1-5")
	}
	t.spec = spec
	t.fixed = !strings.Contains(fields[0], "*") && !strings.Contains(fields[1], "*")
	return nil
}

var seven = regexp.MustCompile(`\b7\b`)

// sundays writes the 7 of Vixie cron's day of week as 0, which the grammar
// knows; a range that ends in it becomes a list.
func sundays(field string) string {
	if !seven.MatchString(field) || strings.Contains(field, "/7") {
		return field
	}
	var parts []string
	for _, part := range strings.Split(field, ",") {
		first, last, isRange := strings.Cut(part, "-")
		switch {
		case part == "7":
			parts = append(parts, "0")
		case isRange && last == "7":
			if n, err := strconv.Atoi(first); err == nil && n >= 1 && n <= 6 {
				parts = append(parts, "0", fmt.Sprintf("%d-6", n))
				continue
			}
			parts = append(parts, part)
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ",")
}

// parse calls the library, which panics at some inputs.
func parse(expression string) (spec cron.Schedule, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			spec, err = nil, errors.New("it can't be read")
		}
	}()
	return cron.ParseStandard(expression)
}

func invalid(field, value, message, fix string) *agent.Error {
	return &agent.Error{Code: agent.CodeInvalidSchedule, Message: message, Fix: fix, Details: map[string]any{"field": field, "value": value}}
}
