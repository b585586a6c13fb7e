package cli

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func line(name, unit, of string, values ...float64) agent.Series {
	series := agent.Series{Name: name, Unit: unit, Of: of}
	for _, v := range values {
		series.Points = append(series.Points, agent.SeriesPoint{Min: v, Mean: v, Max: v})
	}
	return series
}

func TestAddSeries(t *testing.T) {
	f := facts{}
	addSeries(&f, []agent.Series{
		line("cpu", "cores", "", 0.1, 0.2), line("cpu", "cores", "db-0", 0.1, 0.2), line("memory", "bytes", "", 64<<20, 32<<20),
		line("used", "bytes", "data-db-0", 1<<30, 2<<30), line("capacity", "bytes", "data-db-0", 4<<30, 4<<30), line("p95", "ms", "", 12, 8.25),
	}, "memory")
	var got []string
	for _, row := range f.rows {
		got = append(got, row[0]+"  "+row[1])
	}
	want := []string{"CPU  ▄█  0.2 now, at most 0.2", "Volume data-db-0  ▄█  2 GiB now, at most 2 GiB, limit 4 GiB", "95 % within  █▅  8.2 ms now, at most 12 ms"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTotalOf(t *testing.T) {
	all := []agent.Series{line("memory", "bytes", "web-1", 1), line("memory", "bytes", "", 2), line("used", "bytes", "data", 3), line("capacity", "bytes", "data", 9)}
	if got := totalOf(all, "memory"); got.Points[0].Mean != 2 {
		t.Errorf("the memory of all is %v", got)
	}
	if got := totalOf(all, "used"); got.Limit != 9 {
		t.Errorf("the volume ends at %v", got.Limit)
	}
	if got := totalOf(all, "p95"); len(got.Points) != 0 {
		t.Errorf("there is a series that nobody sent: %v", got)
	}
}
