package slack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	double "hks.dev/hks/test/slack"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// leak is a report as the assistant makes them.
func leak(kind string) agent.Report {
	c := &agent.Chart{Title: "Memory of web/production grows", Unit: "bytes", Limit: 512 << 20, Marks: []agent.ChartMark{{At: noon.Add(time.Hour), Text: "release 12"}}}
	for n := range 24 {
		c.Points = append(c.Points, agent.SeriesPoint{Time: noon.Add(time.Duration(n) * time.Hour), Mean: float64(100+10*n) * (1 << 20)})
	}
	i := &agent.Incident{
		ID: 7, Detector: "memory-leak", Severity: agent.SeverityWarning, Status: agent.IncidentFiring, Title: "Memory of web/production grows and does not come back",
		Subject: agent.Subject{Kind: agent.SubjectApp, Name: "web", Environment: "production", Component: "api", Pod: "web-production-abc", Container: "api", Node: "one"},
		Summary: "web/production holds 330 MiB of 512 MiB and grows by 10 MiB an hour since release 12.",
		Evidence: []agent.Fact{
			{Name: "growth", Value: "230 MiB in 23 h", Why: "it never came back"}, {Name: "slope", Value: "10 MiB/h", Why: "as steep at the end as at the begin"},
			{Name: "load", Value: "steady", Why: "more requests do not explain it"}, {Name: "changed before", Value: "release 12, deploy by ada", Why: "it began to serve 1 h before"},
		},
		RuledOut: []string{"page cache: only anonymous memory was counted", "warm-up: it goes on after 20 hours"}, Change: &agent.CauseChange{Release: 12, Before: 11, Why: "deploy", By: "ada", At: noon.Add(time.Hour)},
		Remedies: []agent.Remedy{
			{Title: "Go back to release 11", Command: "hks rollback web --env production --to 11", Kubectl: "kubectl -n ada rollout undo deployment/web-production"},
			{Title: "Restart it, which gives time", Command: "hks app restart web --env production", Kubectl: "kubectl -n ada rollout restart deployment/web-production"},
		},
		Logs: []string{"GET / 200", "heap <grows> & grows"}, Confidence: 0.93, TimeToLimit: 17 * time.Hour, Since: noon.Add(2 * time.Hour), OpenedAt: noon.Add(3 * time.Hour), UpdatedAt: noon.Add(3 * time.Hour),
	}
	r := agent.Report{Kind: kind, Incident: i, Text: i.Summary + " Try: hks rollback web --env production --to 11", Link: "https://hks.example.com/incidents/7", Chart: c}
	if kind == agent.ReportResolved {
		i.Status, i.ResolvedAt = agent.IncidentResolved, noon.Add(26*time.Hour)
		r.Text, r.Chart = "Resolved after 23 h: "+i.Title+".", nil
	}
	return r
}

func raw(t *testing.T, r agent.Report, l layout, p picture) string {
	t.Helper()
	data, err := json.Marshal(blocks(r, l, p))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestA71ReportHasAllOfIt(t *testing.T) {
	text := raw(t, leak(agent.ReportOpened), full, picture{file: "F0123456789"})
	last := -1
	// In the order of the field notes.
	for _, want := range []string{
		"🟠 Warning: Memory of web/production grows", "grows by 10 MiB an hour since release 12.", "*Since*\\n\\u003c!date^1772373600^", "*Now of limit*\\n330 MiB of 512 MiB", "*Growth*\\n+210 MiB in 21 h", "*Time to limit*\\nabout 17 h",
		"*Confidence*\\n93 %", "*Release before*\\n12, deploy by ada", `"slack_file":{"id":"F0123456789"}`, "*Evidence*\\n• growth *230 MiB in 23 h* → it never came back", "*Ruled out* page cache",
		"1. Go back to release 11\\n```hks rollback web --env production --to 11```\\n```kubectl -n ada rollout undo deployment/web-production```", "2. Restart it",
		"*Last lines*\\n```GET / 200\\nheap \\u0026lt;grows\\u0026gt; \\u0026amp; grows```", `"url":"https://hks.example.com/incidents/7"`, "Incident 7 · memory-leak · app web/production",
	} {
		at := strings.Index(text, want)
		if at < 0 {
			t.Fatalf("%q is missing in\n%s", want, text)
		}
		// The alt text comes before the file within the image.
		if at < last && !strings.Contains(want, "slack_file") {
			t.Errorf("%q is not in its place", want)
		}
		last = max(last, at)
	}
	if refusal := double.Check("x", json.RawMessage(text), func(string) bool { return true }); refusal != nil {
		t.Error(refusal)
	}
}

func TestA71ReportWithoutPictureHasALineOfText(t *testing.T) {
	text := raw(t, leak(agent.ReportOpened), full, picture{lost: "Slack says missing_scope"})
	for _, want := range []string{"`▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███`", "limit 512 MiB; release 12 at", "no picture: Slack says missing_scope"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestResolvedKeepsWhatItWas(t *testing.T) {
	text := raw(t, leak(agent.ReportResolved), over, picture{file: "F0123456789"})
	for _, want := range []string{"✅ Resolved: Memory of web", "Resolved after 23 h", "What it was: web/production holds 330 MiB", "*Until*", "*Evidence*", "hks rollback web"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// hostile are texts that break out, call people, or are too long.
var hostile = []string{
	"", " ", "\n", "<!channel>", "<!here> <!everyone>", "<@U0123456789>", "<!subteam^S0123456789>", "<https://evil.example|Open>", "```\n<!channel>\n```", "@channel @here @everyone",
	"&lt;!channel&gt;", "&amp;<!channel", "a\x1b[31mred\x1b[0m\x00\x07", "\u202egnp.exe", "\xff\xfe\xfd", "👩‍👩‍👧‍👦", "漢字かな", `"quoted" \ back`, "*bold* _it_ ~no~ `code`", strings.Repeat("&", 300), strings.Repeat("<!channel>", 40),
	strings.Repeat("`", 200), strings.Repeat("👍", 200), strings.Repeat("\"", 400), strings.Repeat("\\", 400), strings.Repeat("\n", 400), strings.Repeat("word ", 100),
}

// spoilt is a report all of whose texts are one.
func spoilt(kind, text string, many int) agent.Report {
	r := leak(kind)
	i := r.Incident
	i.Title, i.Summary, i.Detector, i.Explanation, i.Severity = text, text, text, text, text
	i.Subject = agent.Subject{Kind: text, Name: text, Environment: agent.Environment(text), Component: text, Pod: text, Container: text, Node: text}
	i.Evidence = slices.Repeat([]agent.Fact{{Name: text, Value: text, Why: text}}, many)
	i.RuledOut, i.Logs = slices.Repeat([]string{text}, many), slices.Repeat([]string{text}, many)
	i.Remedies = slices.Repeat([]agent.Remedy{{Title: text, Command: text, Kubectl: text}}, many)
	i.Change.Why, i.Change.By = text, text
	r.Text, r.Link = text, "https://example.com/"+text
	r.Digest = slices.Repeat([]agent.Incident{*i}, many)
	if r.Chart != nil {
		r.Chart.Title, r.Chart.Unit = text, text
		r.Chart.Marks = slices.Repeat([]agent.ChartMark{{At: noon, Text: text}}, many)
	}
	return r
}

// hold checks all messages that a report may become.
func hold(t *testing.T, r agent.Report) {
	t.Helper()
	file := func(id string) bool { return id == "F0123456789" }
	for _, l := range []layout{full, followUp, over} {
		for _, p := range []picture{{}, {file: "F0123456789"}, {lost: r.Text}} {
			data := json.RawMessage(raw(t, r, l, p))
			if refusal := double.Check(sentence(r), data, file); refusal != nil {
				t.Errorf("%s, layout %d: Slack refuses: %v", r.Kind, l, refusal)
			}
			if found := double.Mentions(sentence(r), data); len(found) > 0 {
				t.Errorf("%s, layout %d: it calls %q", r.Kind, l, found)
			}
			if n := len([]rune(string(data))); n > 3*mostAll { // the encoder here writes < as six characters
				t.Errorf("%s, layout %d: %d characters", r.Kind, l, n)
			}
		}
	}
	if refusal := double.Check(plain(r), nil, file); refusal != nil {
		t.Errorf("%s as plain text: Slack refuses: %v", r.Kind, refusal)
	}
	if found := double.Mentions(plain(r), nil); len(found) > 0 {
		t.Errorf("%s as plain text: it calls %q", r.Kind, found)
	}
	if n := units(plain(r)); n > mostText+2500 {
		t.Errorf("%s as plain text: %d characters", r.Kind, n)
	}
}

var kinds = []string{
	agent.ReportOpened, agent.ReportReminder, agent.ReportWorse, agent.ReportReopened, agent.ReportResolved, agent.ReportFlapping, agent.ReportDigest, agent.ReportTest, agent.ReportNotice,
}

func TestA71LimitsHoldForAnyText(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hold(t, agent.Report{Kind: kind})
			hold(t, leak(kind))
			for _, text := range hostile {
				hold(t, spoilt(kind, text, 0))
				hold(t, spoilt(kind, text, 12))
				if kind == agent.ReportReminder || kind == agent.ReportFlapping || kind == agent.ReportReopened || kind == agent.ReportWorse {
					continue // laid out as opened is
				}
				hold(t, spoilt(kind, strings.Repeat(text, 8), 3))
			}
		})
	}
}

func FuzzLimits(f *testing.F) {
	for n, text := range hostile {
		f.Add(text, n, uint8(n))
	}
	f.Fuzz(func(t *testing.T, text string, length int, many uint8) {
		length = min(max(length, 1), 1+100_000/(len(text)+1))
		hold(t, spoilt(kinds[int(many)%len(kinds)], strings.Repeat(text, length), int(many)))
	})
}

func TestCuts(t *testing.T) {
	tests := []struct {
		got, want string
	}{
		{markup("abcdef", 4), "abc…"}, {markup("abcd", 4), "abcd"}, {markup("a<b", 6), "a&lt;b"}, {markup("a<b", 5), "a…"}, {markup("a<bc", 6), "a&lt;…"}, {markup("&&&", 1), "…"}, {markup("x", 0), ""},
		{cut("👍👍👍", 5), "👍👍…"}, {cut("👍👍", 4), "👍👍"}, {cut("", 0), ""},
		{code("a`b", 20), "```a'b```"}, {line(" a\x1b[31m b\n\tc\u202e "), "a b c"}, {clean("a\x00b\nc"), "ab\nc"},
		{tail([]string{"one", "two", "three"}, 11), "two\nthree"}, {tail([]string{"one", strings.Repeat("x", 90)}, 20), "xxx…"}, {tail(nil, 20), ""}, {tail([]string{"one", "", ""}, 20), "one"},
	}
	for n, test := range tests {
		if test.got != test.want {
			t.Errorf("%d: %q, not %q", n, test.got, test.want)
		}
	}
}

func TestCommandsAreWholeOrNotThere(t *testing.T) {
	r := leak(agent.ReportOpened)
	long := "hks env set web " + strings.Repeat("A=1 ", 200)
	r.Incident.Remedies = []agent.Remedy{{Title: "Long", Command: long, Kubectl: "kubectl get pods"}}
	for n := range 40 {
		r.Incident.Remedies = append(r.Incident.Remedies, agent.Remedy{Title: fmt.Sprint("Way ", n), Command: "hks rollback web " + strings.Repeat("x", 300) + " end"})
	}
	text := remedies(r.Incident.Remedies, 2400)
	if strings.Contains(text, "A=1") || !strings.Contains(text, "1. Long\n```kubectl get pods```") {
		t.Errorf("half a command, or none:\n%s", text)
	}
	if got, whole := strings.Count(text, "hks rollback web"), strings.Count(text, "x end```"); got == 0 || got != whole {
		t.Errorf("%d commands begin, %d end", got, whole)
	}
}

func TestDigestSaysHowManyMore(t *testing.T) {
	r := agent.Report{Kind: agent.ReportDigest, Text: "37 incidents at once.", Digest: slices.Repeat([]agent.Incident{*leak(agent.ReportOpened).Incident}, 37)}
	text := raw(t, r, full, picture{})
	for _, want := range []string{"🔴 37 incidents at once", "Memory of web/production grows", "(app web/production)", "and "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if shown := strings.Count(text, "(app web/production)"); !strings.Contains(text, fmt.Sprintf("and %d more", 37-shown)) {
		t.Errorf("%d are shown:\n%s", shown, text)
	}
}
