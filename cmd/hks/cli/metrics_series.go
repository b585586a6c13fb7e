package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

const (
	longestSince  = 30 * 24 * time.Hour // that figures are kept for
	longestPoints = 24 * time.Hour      // that the single samples of an application are kept for
)

// otherUse is what something that is no application takes, as JSON.
type otherUse struct {
	Kind   string         `json:"kind"`
	Name   string         `json:"name"`
	Series []agent.Series `json:"series"`
}

// other shows the figures of a node or a service.
func (o *metricsOptions) other(ctx context.Context, c *client.Client, kind, name string) error {
	var err error
	if kind == agent.SubjectNode { // a name that does not exist has no figures either
		_, err = c.Node(ctx, name)
	} else {
		_, err = c.Service(ctx, name)
	}
	if err != nil {
		return err
	}
	series, err := c.Series(ctx, kind, name, "", o.since)
	if err != nil {
		return err
	}
	if o.json {
		return o.printAny(otherUse{kind, name, listOf(series)})
	}
	f := facts{}
	f.add(seriesTitle(kind), o.screen.style.bold(name))
	addSeries(&f, series)
	if len(f.rows) == 1 {
		f.add("Figures", "none yet; the first come a minute after it starts")
	}
	return f.write(o.screen.out, o.screen.style)
}

// addSeries adds a line for each series over all instances and for each
// volume, without those of the names left out.
func addSeries(f *facts, series []agent.Series, without ...string) {
	for _, one := range series {
		volume := one.Name == "used" && one.Of != ""
		switch {
		case one.Name == "capacity" || slices.Contains(without, one.Name):
		case volume:
			f.add("Volume "+one.Of, sparkText(withCapacity(one, series)))
		case one.Of == "":
			f.add(seriesTitle(one.Name), sparkText(withCapacity(one, series)))
		}
	}
}

// seriesTitle is the name of a series for people.
func seriesTitle(name string) string {
	switch name {
	case "cpu":
		return "CPU"
	case "rss":
		return "RSS"
	case "used":
		return "Disk"
	case "p95":
		return "95 % within"
	case "":
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// sparkOf draws a series without figures.
func sparkOf(line agent.Series) string {
	values := make([]float64, len(line.Points))
	for n, p := range line.Points {
		values[n] = p.Mean
	}
	return spark(values, sparkWidth)
}
