package cli

import (
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestAgo(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	tests := map[time.Duration]string{
		-5 * time.Second: "just now", 0: "just now", 30 * time.Second: "30s ago", 90 * time.Second: "1m ago",
		3 * time.Hour: "3h ago", 47 * time.Hour: "47h ago", 72 * time.Hour: "3d ago",
	}
	for before, want := range tests {
		if got := ago(now, now.Add(-before)); got != want {
			t.Errorf("%s before: %q, want %q", before, got, want)
		}
	}
	if got := ago(now, time.Time{}); got != "never" {
		t.Errorf("no time: %q", got)
	}
	if got := ago(now, time.Date(2025, 1, 2, 12, 0, 0, 0, time.Local)); got != "2025-01-02" {
		t.Errorf("long before: %q", got)
	}
}

func TestAmounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 200 << 20: "200 MiB", 5 << 30: "5 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
	for cores, want := range map[float64]string{0: "0", 0.25: "0.25", 2: "2", 10: "10", 0.0004: "0"} {
		if got := coresText(cores); got != want {
			t.Errorf("coresText(%v) = %q, want %q", cores, got, want)
		}
	}
	if got := cpuText(agent.Usage{}); got != "-" {
		t.Errorf("not sampled yet: %q", got)
	}
	if got := bar(style{}, 1, 1000, 4); got != "█░░░" {
		t.Errorf("a little is not nothing: %q", got)
	}
	if got := bar(style{}, 5, 2, 4); got != "████" {
		t.Errorf("over the limit: %q", got)
	}
	if got := spark([]float64{0, 1, 2, 4, 8, 8}, 3); got != "▁▄█" {
		t.Errorf("spark: %q", got)
	}
	if got := spark(nil, 3) + spark([]float64{0, 0}, 5); got != "▁▁" {
		t.Errorf("spark of nothing: %q", got)
	}
}

func TestCleanKeepsOthersFromSteeringTheTerminal(t *testing.T) {
	tests := map[string]string{
		"plain ünïcode ✓":        "plain ünïcode ✓",
		"\x1b[31mred\x1b[0m":     "\x1b[31mred\x1b[0m",
		"\x1b[2Jgone\x1b]0;t\a":  "[2Jgone]0;t",
		"tab\tand\nline":         "tab\tand\nline",
		"back\b\r\x00over\u009b": "backover",
		"bad \xff\xfe bytes":     "bad  bytes",
		"bad \x1b \xff":          "bad  ",
	}
	for text, want := range tests {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTableLinesUpWithAndWithoutColours(t *testing.T) {
	s := style{on: true}
	table := newTable("APP", "STATUS", "WHY")
	table.row(s.bold("web"), s.status("running"), "")
	table.row("longer-name", s.status("error"), "two\nlines\x1b[2J")
	want := "APP          STATUS   WHY\nweb          running\nlonger-name  error    two lines[2J\n"
	var plain, coloured strings.Builder
	if err := table.write(&plain, style{}); err != nil || plain.String() != want {
		t.Errorf("plain:\n%s\nwant:\n%s", plain.String(), want)
	}
	if err := table.write(&coloured, s); err != nil || stripSGR(coloured.String()) != want || coloured.String() == want {
		t.Errorf("coloured: %q", coloured.String())
	}
}
