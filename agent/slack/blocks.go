package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	api "github.com/slack-go/slack"

	"hks.dev/hks/agent"
)

// Slack's limits, in characters where nothing else is said.
const (
	mostHeader  = 150
	mostSection = 3000
	mostField   = 2000
	mostFields  = 10 // fields
	mostBlocks  = 50 // blocks
	mostAlt     = 2000
	mostURL     = 3000
	mostAll     = 10_000 // of all blocks as JSON; Slack refuses somewhat above 13,000
	mostText    = 4000   // of the plain text, as Slack recommends; it refuses above 40,000
)

// What a report may take of them.
const (
	mostSummary  = 900
	mostEvidence = 5 // lines
	mostRemedies = 5
	mostRuledOut = 10
	mostDigest   = 20 // incidents
	sparkWidth   = 24
	titleLength  = 120
	valueLength  = 160
	whyLength    = 200
	commandMost  = 500 // a longer one is left out: half a command is worse than none
)

// layout says how much of a report a message shows.
type layout int

const (
	full     layout = iota // all there is
	followUp               // a word in the thread: what has changed
	over                   // the first message after the end: all there was
)

// picture is a file that was uploaded to Slack.
type picture struct {
	file string // its id; "": there is none
	lost string // why there is none, in Slack's words; "": none was wanted
}

// places of a message's blocks, from above.
const (
	placeHeader = iota
	placeSummary
	placeFields
	placePicture
	placeEvidence
	placeRuledOut
	placeExplanation
	placeRemedies
	placeLogs
	placeActions
	placeContext
	places
)

// builder fills the places of a message, the most important first, until the
// room for all is used up.
type builder struct {
	left   int
	blocks [places]api.Block
}

// put makes a block of at most so many characters, and a smaller one while it
// does not fit; nil is left out.
func (b *builder) put(place, most int, make func(most int) api.Block) {
	const least = 40
	for ; most >= least; most /= 2 {
		block := make(most)
		if block == nil {
			return
		}
		if n := size(block) + 1; n <= b.left {
			b.left -= n
			b.blocks[place] = block
			return
		}
	}
}

// list returns the blocks in their order.
func (b *builder) list() []api.Block {
	var all []api.Block
	for _, block := range b.blocks {
		if block != nil {
			all = append(all, block)
		}
	}
	return all[:min(len(all), mostBlocks)]
}

// size is a block's length as JSON.
func size(block api.Block) int {
	var out bytes.Buffer
	encode := json.NewEncoder(&out)
	encode.SetEscapeHTML(false)
	if encode.Encode(block) != nil {
		return mostAll // never fits
	}
	return units(out.String())
}

// blocks lays a report out.
func blocks(r agent.Report, l layout, p picture) []api.Block {
	b := builder{left: mostAll - 2}
	if l != followUp {
		b.put(placeHeader, mostHeader, func(most int) api.Block {
			return api.NewHeaderBlock(api.NewTextBlockObject(api.PlainTextType, cut(header(r), most), false, false))
		})
	}
	b.put(placeContext, 600, func(most int) api.Block {
		return api.NewContextBlock("", marked(markup(about(r, p), most)))
	})
	if u, err := url.Parse(r.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && units(u.String()) <= mostURL {
		b.put(placeActions, mostURL, func(int) api.Block {
			open := api.NewButtonBlockElement("open", "", api.NewTextBlockObject(api.PlainTextType, "Open", false, false))
			open.URL = u.String()
			return api.NewActionBlock("", open)
		})
	}
	b.put(placeSummary, mostSummary, func(most int) api.Block { return section(markup(summary(r, l), most)) })
	if r.Kind == agent.ReportDigest {
		b.put(placeEvidence, mostSection, func(most int) api.Block { return section(digest(r.Digest, most)) })
	}
	if i := r.Incident; i != nil {
		b.incident(r, *i, l)
	}
	b.chart(r, p)
	if i := r.Incident; i != nil && l != followUp {
		b.details(*i)
	}
	return b.list()
}

// incident fills in what must be seen of an incident.
func (b *builder) incident(r agent.Report, i agent.Incident, l layout) {
	b.put(placeFields, 1600, func(most int) api.Block {
		block := api.NewSectionBlock(nil, nil, nil)
		if block.Fields = fields(r, i, most); len(block.Fields) == 0 {
			return nil
		}
		return block
	})
	if l == followUp && r.Kind == agent.ReportResolved {
		return
	}
	b.put(placeEvidence, 2200, func(most int) api.Block { return section(evidence(i.Evidence, most)) })
	b.put(placeRemedies, 2400, func(most int) api.Block { return section(remedies(i.Remedies, most)) })
}

// chart fills in the picture, or a line of text in its place.
func (b *builder) chart(r agent.Report, p picture) {
	if p.file != "" {
		b.put(placePicture, min(500, mostAlt), func(most int) api.Block {
			alt := cut(line(r.Chart.Words()), most)
			if alt == "" {
				alt = "the figures of the last day"
			}
			return api.NewImageBlockSlackFile(&api.SlackFileObject{ID: p.file}, alt, "", nil)
		})
		return
	}
	if spark := r.Chart.Sparkline(sparkWidth); spark != "" {
		b.put(placePicture, 500, func(most int) api.Block { return section("`" + spark + "`\n" + markup(line(r.Chart.Words()), most)) })
	}
}

// details fills in what is good to know where there is room.
func (b *builder) details(i agent.Incident) {
	b.put(placeRuledOut, 600, func(most int) api.Block {
		if len(i.RuledOut) == 0 {
			return nil
		}
		return section("*Ruled out* " + markup(line(strings.Join(i.RuledOut[:min(len(i.RuledOut), mostRuledOut)], "; ")), most))
	})
	b.put(placeExplanation, 1200, func(most int) api.Block {
		text := line(i.Explanation)
		if text == "" {
			return nil
		}
		return section("*In plain words* (by a language model, from the evidence above)\n" + markup(text, most))
	})
	b.put(placeLogs, 1500, func(most int) api.Block {
		text := tail(i.Logs, most-20)
		if text == "" {
			return nil
		}
		return section("*Last lines*\n" + code(text, most))
	})
}

func marked(text string) *api.TextBlockObject {
	// Verbatim: names of channels and people in it stay text.
	return api.NewTextBlockObject(api.MarkdownType, text, false, true)
}

// section holds markup; nil where there is none.
func section(text string) api.Block {
	if text == "" {
		return nil
	}
	return api.NewSectionBlock(marked(text), nil, nil)
}

// header is a report's first line.
func header(r agent.Report) string {
	mark := "🟠"
	switch i := r.Incident; {
	case r.Kind == agent.ReportResolved:
		mark = "✅"
	case i == nil && r.Kind != agent.ReportDigest:
		mark = "🔔"
	case i == nil || i.Severity == agent.SeverityCritical:
		mark = "🔴"
	}
	return mark + " " + line(r.Headline())
}

// summary says in a sentence or two what there is.
func summary(r agent.Report, l layout) string {
	text := line(r.Text)
	i := r.Incident
	if i == nil || l == followUp {
		return text
	}
	if r.Kind == agent.ReportOpened {
		if s := line(i.Summary); s != "" {
			return s // its text says the first remedy too, which has a place of its own
		}
	}
	if l == over && i.Summary != "" {
		text += "\nWhat it was: " + line(i.Summary)
	}
	return text
}

// about is the last line: whose report it is.
func about(r agent.Report, p picture) string {
	var parts []string
	if i := r.Incident; i != nil {
		parts = append(parts, fmt.Sprintf("Incident %d", i.ID), line(i.Detector), line(i.Subject.String()))
		if i.Subject.Pod != "" {
			parts = append(parts, "pod "+line(i.Subject.Pod))
		}
		if i.Subject.Node != "" && i.Subject.Kind != agent.SubjectNode {
			parts = append(parts, "node "+line(i.Subject.Node))
		}
	}
	parts = append(parts, "hks")
	if p.lost != "" {
		parts = append(parts, "no picture: "+line(p.lost))
	}
	for n, part := range parts {
		parts[n] = cut(part, titleLength)
	}
	return strings.Join(parts, " · ")
}

// fields are an incident's figures, as markup.
func fields(r agent.Report, i agent.Incident, most int) []*api.TextBlockObject {
	var all []*api.TextBlockObject
	add := func(name, text string) { all = append(all, marked("*"+name+"*\n"+text)) }
	if !i.Since.IsZero() {
		add("Since", moment(i.Since))
	}
	if r.Kind == agent.ReportResolved && !i.ResolvedAt.IsZero() {
		add("Until", moment(i.ResolvedAt))
	}
	for _, f := range r.Figures() {
		add(f.Name, markup(line(f.Value), min(most/mostFields, mostField-40)))
	}
	return all[:min(len(all), mostFields)]
}

// evidence lists facts, a line each: the number, then why it matters.
func evidence(facts []agent.Fact, most int) string {
	text := "*Evidence*"
	for n, f := range facts {
		if n == mostEvidence {
			break
		}
		next := "\n• " + markup(cut(line(f.Name), titleLength), 2*titleLength) + " *" + markup(cut(line(f.Value), valueLength), 2*valueLength) + "*"
		if f.Why != "" {
			next += " → " + markup(cut(line(f.Why), whyLength), 2*whyLength)
		}
		if units(text)+units(next) > most {
			break
		}
		text += next
	}
	if !strings.Contains(text, "\n") {
		return ""
	}
	return text
}

// remedies lists ways out, the safest first, each whole or not at all.
func remedies(list []agent.Remedy, most int) string {
	text := "*What to do*, the safest first"
	none := text
	for n, r := range list {
		if n == mostRemedies {
			break
		}
		next := fmt.Sprintf("\n%d. %s", n+1, markup(cut(line(r.Title), titleLength), 2*titleLength))
		for _, command := range []string{r.Command, r.Kubectl} {
			if command = line(command); command != "" && units(command) <= commandMost {
				next += "\n" + code(command, 6*commandMost)
			}
		}
		if units(text)+units(next) > most {
			break
		}
		text += next
	}
	if text == none {
		return ""
	}
	return text
}

// digest lists the incidents of a storm.
func digest(list []agent.Incident, most int) string {
	const tail = 40 // for the line that says how many more
	text := ""
	for n, i := range list {
		mark := "🟠"
		if i.Severity == agent.SeverityCritical {
			mark = "🔴"
		}
		next := mark + " " + markup(cut(line(i.Title), titleLength), 2*titleLength) + " (" + markup(cut(line(i.Subject.String()), titleLength), 2*titleLength) + ")\n"
		if n == mostDigest || units(text)+units(next) > most-tail {
			return text + fmt.Sprintf("and %d more", len(list)-n)
		}
		text += next
	}
	return strings.TrimSuffix(text, "\n")
}

// tail is the last of some lines, as many as there is room for.
func tail(lines []string, most int) string {
	text, room := "", most
	for n := len(lines) - 1; n >= 0; n-- {
		next := strings.TrimRight(strings.ReplaceAll(clean(lines[n]), "\n", " "), " ")
		need := units(markup(next, 6*mostSection)) + 1
		if need > room {
			if text == "" {
				text = cut(next, max(room/5, 1)) // an entity is five long
			}
			break
		}
		if next == "" && text == "" {
			continue
		}
		room -= need
		text = next + "\n" + text
	}
	return strings.TrimSuffix(text, "\n")
}

// plain is a report without any blocks, as markup.
func plain(r agent.Report) string {
	text := sentence(r)
	if i := r.Incident; i != nil {
		for _, part := range []string{evidence(i.Evidence, 1200), remedies(i.Remedies, 1500)} {
			if part != "" && r.Kind != agent.ReportResolved {
				text += "\n" + part
			}
		}
	}
	if r.Kind == agent.ReportDigest {
		text += "\n" + digest(r.Digest, 2000)
	}
	if link := markup(line(r.Link), 300); link != "" && !strings.HasSuffix(link, "…") {
		text += "\n" + link
	}
	return text
}

// sentence is what stands for all of a report, such as in a notification.
func sentence(r agent.Report) string {
	text := line(r.Text)
	if text == "" {
		text = header(r)
	}
	return markup(text, mostText/4)
}
