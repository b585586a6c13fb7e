package mail

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"unicode"

	"hks.dev/hks/agent"
)

const (
	pictureName = "chart.png" // also its Content-ID
	mostSubject = 180         // letters
	mostList    = 50          // of facts, remedies, incidents or lines
	mostLetters = 4000        // of one text
	sparkWidth  = 48
)

//go:embed report.html
var layout string

// line makes one line of a text of others.
func line(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }), " ")
}

func cut(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:most-1]) + "…"
}

// subject is the same for all mails of an incident, as mail programs put only
// such into one thread.
func subject(m agent.Message) string {
	if i := m.Report.Incident; i != nil {
		text := "[hks] " + cut(line(i.Title), mostSubject)
		if threaded(m) {
			return "Re: " + text
		}
		return text
	}
	return "[hks] " + cut(line(m.Report.Headline()), mostSubject)
}

// view is what a mail shows.
type view struct {
	Headline, Text, Summary     string
	Color                       string // of the headline
	Figures, Evidence           []agent.Fact
	RuledOut, Explanation, Logs string
	Remedies                    []agent.Remedy
	Digest                      []string
	Link, About                 string
	Picture, Alt                string // the Content-ID; empty: none
}

// viewOf brings a report into the form of a mail, with nothing endless in it.
func viewOf(r agent.Report) view {
	clip := func(text string) string { return cut(line(text), mostLetters) }
	v := view{Headline: clip(r.Headline()), Text: clip(r.Text), Color: "#1f63d6", About: "hks"}
	if u, err := url.Parse(r.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		v.Link = r.Link
	}
	for _, i := range r.Digest[:min(len(r.Digest), mostList)] {
		v.Digest = append(v.Digest, clip(i.Severity+": "+i.Title+" ("+i.Subject.String()+")"))
	}
	if more := len(r.Digest) - mostList; more > 0 {
		v.Digest = append(v.Digest, fmt.Sprintf("and %d more", more))
	}
	i := r.Incident
	if i == nil {
		return v
	}
	switch {
	case r.Kind == agent.ReportResolved:
		v.Color = "#1e7d3c"
	case i.Severity == agent.SeverityCritical:
		v.Color = "#c81e2d"
	default:
		v.Color = "#b36800"
	}
	if s := clip(i.Summary); !strings.Contains(v.Text, s) {
		v.Summary = s
	}
	if !i.Since.IsZero() {
		v.Figures = append(v.Figures, agent.Fact{Name: "Since", Value: agent.Clock(i.Since)})
	}
	if !i.ResolvedAt.IsZero() && r.Kind == agent.ReportResolved {
		v.Figures = append(v.Figures, agent.Fact{Name: "Until", Value: agent.Clock(i.ResolvedAt)})
	}
	for _, f := range r.Figures() {
		v.Figures = append(v.Figures, agent.Fact{Name: f.Name, Value: clip(f.Value)})
	}
	for _, f := range i.Evidence[:min(len(i.Evidence), mostList)] {
		v.Evidence = append(v.Evidence, agent.Fact{Name: clip(f.Name), Value: clip(f.Value), Why: clip(f.Why)})
	}
	v.RuledOut = clip(strings.Join(i.RuledOut[:min(len(i.RuledOut), mostList)], "; "))
	v.Explanation = clip(i.Explanation)
	if r.Kind != agent.ReportResolved {
		for _, w := range i.Remedies[:min(len(i.Remedies), mostList)] {
			v.Remedies = append(v.Remedies, agent.Remedy{Title: clip(w.Title), Command: line(w.Command), Kubectl: line(w.Kubectl)})
		}
		var logs []string
		for _, l := range i.Logs[max(len(i.Logs)-mostList, 0):] {
			logs = append(logs, clip(l))
		}
		v.Logs = strings.Join(logs, "\n")
	}
	v.About = clip(fmt.Sprintf("Incident %d, %s, %s", i.ID, i.Detector, i.Subject))
	return v
}

// render writes the mail as HTML; what others wrote is escaped by the template.
func render(m agent.Message) (string, error) {
	t, err := template.New("report").Parse(layout)
	if err != nil {
		return "", err
	}
	v := viewOf(m.Report)
	if len(m.Picture) > 0 {
		v.Picture, v.Alt = pictureName, cut(line(m.Report.Chart.Words()), mostLetters)
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// plain writes the mail as text.
func plain(r agent.Report) string {
	v := viewOf(r)
	var b strings.Builder
	part := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s\n%s\n", name, text)
		}
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", v.Headline, v.Text)
	if v.Summary != "" {
		fmt.Fprintf(&b, "%s\n", v.Summary)
	}
	if len(v.Figures) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range v.Figures {
		fmt.Fprintf(&b, "%-15s %s\n", f.Name, f.Value)
	}
	if spark := r.Chart.Sparkline(sparkWidth); spark != "" {
		part(line(r.Chart.Words()), spark)
	}
	var lines []string
	for _, f := range v.Evidence {
		text := "- " + f.Name + " " + f.Value
		if f.Why != "" {
			text += " -> " + f.Why
		}
		lines = append(lines, text)
	}
	part("Evidence", strings.Join(lines, "\n"))
	part("Ruled out", v.RuledOut)
	part("In plain words, by a language model, from the evidence above", v.Explanation)
	lines = nil
	for n, w := range v.Remedies {
		lines = append(lines, fmt.Sprintf("%d. %s", n+1, w.Title))
		for _, command := range []string{w.Command, w.Kubectl} {
			if command != "" {
				lines = append(lines, "   "+command)
			}
		}
	}
	part("What to do, the safest first", strings.Join(lines, "\n"))
	part("Last lines", v.Logs)
	part("Incidents", strings.Join(v.Digest, "\n"))
	if v.Link != "" {
		fmt.Fprintf(&b, "\n%s\n", v.Link)
	}
	fmt.Fprintf(&b, "\n-- \n%s\n", v.About)
	return b.String()
}
