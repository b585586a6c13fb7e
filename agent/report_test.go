package agent

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func growing() *Chart {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := &Chart{Title: "Memory", Unit: "bytes", Limit: 512 << 20, Marks: []ChartMark{{At: noon, Text: "release 12"}}}
	for n := range 25 {
		c.Points = append(c.Points, SeriesPoint{Time: noon.Add(time.Duration(n) * time.Hour), Mean: float64(100+10*n) * (1 << 20)})
	}
	return c
}

func TestA71FiguresOfReport(t *testing.T) {
	c := growing()
	i := &Incident{Title: "Memory grows", Severity: SeverityWarning, Since: c.Points[4].Time, Confidence: 0.934, TimeToLimit: 17*time.Hour + 20*time.Minute,
		Change: &CauseChange{Release: 12, Why: "deploy", By: "ada", At: c.Points[3].Time}}
	tests := []struct {
		kind string
		want string
	}{
		{ReportOpened, "[{Now of limit 340 MiB of 512 MiB } {Growth +200 MiB in 20 h } {Time to limit about 17 h 20 min } {Confidence 93 % } {Release before 12, deploy by ada, 2026-03-01 15:00 UTC, 1 h before }]"},
		{ReportResolved, "[{Now of limit 340 MiB of 512 MiB } {Confidence 93 % } {Release before 12, deploy by ada, 2026-03-01 15:00 UTC, 1 h before }]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(Report{Kind: test.kind, Incident: i, Chart: c}.Figures()); got != test.want {
			t.Errorf("%s:\n%s\nnot\n%s", test.kind, got, test.want)
		}
	}
	if got := (Report{Kind: ReportTest}).Figures(); got != nil {
		t.Errorf("a test has figures: %v", got)
	}
	if got, want := c.Words(), "Memory: from 100 MiB to 340 MiB in 1 d, limit 512 MiB; release 12 at 2026-03-01 12:00 UTC"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestSparkline(t *testing.T) {
	gap := growing()
	gap.Points = append(gap.Points[:8:8], gap.Points[16:]...)
	flat := growing()
	for n := range flat.Points {
		flat.Points[n].Mean = 7
	}
	broken := growing()
	broken.Points[3].Mean = math.NaN()
	tests := []struct {
		name  string
		chart *Chart
		width int
		want  string
	}{
		{"grows", growing(), 8, "▁▂▃▄▅▆▇█"},
		{"gap", gap, 12, "▁▁▂▃    ▆▇██"},
		{"flat", flat, 4, "▅▅▅▅"},
		{"no number", broken, 8, "▁▂▃▄▅▆▇█"},
		{"none", nil, 8, ""},
		{"too few", &Chart{Points: growing().Points[:2]}, 8, ""},
		{"no width", growing(), 0, ""},
	}
	for _, test := range tests {
		if got := test.chart.Sparkline(test.width); got != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
}

func TestHeadlines(t *testing.T) {
	i := &Incident{Title: "x", Severity: SeverityCritical}
	tests := map[string]Report{
		"Critical: x":         {Kind: ReportOpened, Incident: i},
		"Resolved: x":         {Kind: ReportResolved, Incident: i},
		"Still going on: x":   {Kind: ReportReminder, Incident: i},
		"Again: x":            {Kind: ReportReopened, Incident: i},
		"Comes and goes: x":   {Kind: ReportFlapping, Incident: i},
		"Warning: x":          {Kind: ReportOpened, Incident: &Incident{Title: "x"}},
		"2 incidents at once": {Kind: ReportDigest, Digest: make([]Incident, 2)},
		"Test message of hks": {Kind: ReportTest},
		"News of hks":         {Kind: ReportNotice},
	}
	for want, r := range tests {
		if got := r.Headline(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
