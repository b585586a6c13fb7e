package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

const (
	incidentSeries = 24 * time.Hour // that the line of an incident shows
	sparkWidth     = 50
)

type incidentsShowOptions struct{ *session }

func newIncidentsShowCommand(s *session) *cobra.Command {
	o := incidentsShowOptions{session: s}
	return &cobra.Command{
		Use: "show ID", Short: "Show an incident: evidence, cause, ways out", Example: "  hks incidents show 12",
		Args: takes("ID"), ValidArgsFunction: s.completeIncident,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseIncident(args[0])
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), id)
		},
	}
}

func (o *incidentsShowOptions) run(ctx context.Context, id int64) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		incident, err := c.Incident(ctx, id)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(incident)
		}
		var line agent.Series
		if name := seriesOf(incident); name != "" && incident.Open() {
			// What it is about may be gone; the incident says enough.
			all, _ := c.Series(ctx, incident.Subject.Kind, incident.Subject.Name, incident.Subject.Environment, incidentSeries)
			line = totalOf(all, name)
		}
		return o.show(incident, line)
	})
}

// seriesOf names the figures that show an incident; empty where there are
// none.
func seriesOf(i agent.Incident) string {
	switch i.Subject.Kind {
	case agent.SubjectApp, agent.SubjectService, agent.SubjectFunction, agent.SubjectNode:
	default:
		return ""
	}
	switch i.Detector {
	case "memory-leak", "oom-loop", "oom-killed", "node-pressure":
		return "memory"
	case "latency":
		return "p95"
	case "errors":
		return "errors"
	case "volume-full", "disk-full":
		return "used"
	}
	return ""
}

// totalOf finds the series of a name over all instances; of volumes, which
// nothing adds up, the first.
func totalOf(all []agent.Series, name string) agent.Series {
	for _, series := range all {
		if series.Name == name && (series.Of == "" || name == "used") {
			return withCapacity(series, all)
		}
	}
	return agent.Series{}
}

// withCapacity gives what is used of a disk its end as a limit.
func withCapacity(series agent.Series, all []agent.Series) agent.Series {
	for _, one := range all {
		if series.Name == "used" && one.Name == "capacity" && one.Of == series.Of && len(one.Points) > 0 {
			series.Limit = one.Points[len(one.Points)-1].Mean
		}
	}
	return series
}

func (o *incidentsShowOptions) show(i agent.Incident, line agent.Series) error {
	style := o.screen.style
	o.screen.print("%s", style.bold(clean(i.Title)))
	o.screen.print("%s\n", clean(i.Summary))
	f := facts{}
	f.add("Incident", strconv.FormatInt(i.ID, 10)+"  "+i.Detector)
	f.add("State", style.status(incidentState(i)))
	f.add("Severity", style.status(i.Severity))
	f.add("Subject", i.Subject.String())
	f.add("Component", i.Subject.Component)
	f.add("Instance", i.Subject.Pod)
	f.add("Since", ago(o.now(), i.Since)+", opened "+ago(o.now(), i.OpenedAt))
	if !i.ResolvedAt.IsZero() {
		f.add("Over", ago(o.now(), i.ResolvedAt)+", after "+span(i.ResolvedAt.Sub(i.OpenedAt)))
	}
	if !i.AckedAt.IsZero() {
		f.add("Acknowledged", ago(o.now(), i.AckedAt)+" by "+i.AckedBy)
	}
	if i.TimeToLimit > 0 && i.Open() {
		f.add("At its limit", "in "+span(i.TimeToLimit))
	}
	if i.Confidence > 0 {
		f.add("Confidence", fmt.Sprintf("%.0f %%", i.Confidence*100))
	}
	if i.Reopened > 0 {
		f.add("Came back", plural(i.Reopened, "time"))
	}
	f.add("Not told", i.Quiet)
	if i.Cause > 0 {
		f.add("Explained by", fmt.Sprintf("hks incidents show %d", i.Cause))
	}
	if i.Change != nil {
		change := fmt.Sprintf("release %d, %s by %s, %s", i.Change.Release, i.Change.Why, i.Change.By, ago(o.now(), i.Change.At))
		if i.Change.Before > 0 {
			change += fmt.Sprintf("; release %d served before", i.Change.Before)
		}
		f.add("Changed before", change)
	}
	if text := sparkText(line); text != "" {
		f.add("Last 24 h", text)
	}
	if err := f.write(o.screen.out, style); err != nil {
		return err
	}
	if len(i.Evidence) > 0 {
		o.screen.print("")
		t := newTable("EVIDENCE", "VALUE", "WHY IT MATTERS")
		for _, fact := range i.Evidence {
			t.row(fact.Name, fact.Value, fact.Why)
		}
		if err := t.write(o.screen.out, style); err != nil {
			return err
		}
	}
	o.part("Ruled out", i.RuledOut)
	if i.Explanation != "" {
		o.part("In plain words, by a language model from the evidence above", []string{i.Explanation})
	}
	if len(i.Remedies) > 0 {
		o.screen.print("\n%s", style.dim("What to do, the safest first"))
	}
	for n, remedy := range i.Remedies {
		o.screen.print("  %d. %s", n+1, clean(remedy.Title))
		if remedy.Command != "" {
			o.screen.print("     %s", style.cyan(clean(remedy.Command)))
		}
		if remedy.Kubectl != "" {
			o.screen.print("     %s", style.dim(clean(remedy.Kubectl)))
		}
	}
	o.part("Last lines", i.Logs)
	if len(i.Timeline) > 0 {
		o.screen.print("\n%s", style.dim("What happened"))
	}
	for _, note := range i.Timeline {
		by := ""
		if note.By != "" {
			by = " (" + clean(note.By) + ")"
		}
		o.screen.print("  %s  %s%s", note.At.Local().Format(time.DateTime), clean(note.Text), by)
	}
	return nil
}

func (o *incidentsShowOptions) part(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	o.screen.print("\n%s", o.screen.style.dim(title))
	for _, line := range lines {
		o.screen.print("  %s", clean(line))
	}
}

// sparkText draws a series: now, the most, and the line between.
func sparkText(line agent.Series) string {
	if len(line.Points) == 0 {
		return ""
	}
	values, highest := make([]float64, len(line.Points)), 0.0
	for n, p := range line.Points {
		values[n], highest = p.Mean, max(highest, p.Max)
	}
	text := fmt.Sprintf("%s  %s now, at most %s", spark(values, sparkWidth), figureText(values[len(values)-1], line.Unit), figureText(highest, line.Unit))
	if line.Limit > 0 {
		text += ", limit " + figureText(line.Limit, line.Unit)
	}
	return text
}

// figureText is a value of a series in its unit.
func figureText(value float64, unit string) string {
	switch unit {
	case "bytes", "cores":
		return amountText(value, unit)
	}
	digits := "%.0f"
	if value != 0 && value < 10 {
		digits = "%.1f"
	}
	return fmt.Sprintf(digits, value) + " " + unit
}
