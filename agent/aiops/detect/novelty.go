package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NoveltyParams are the parameters of the detector for new kinds of errors in
// logs.
type NoveltyParams struct {
	Warmup    int64   // seconds of an app's log before the first alert: at first all is new
	Window    int64   // seconds that are counted
	Least     int     // lines of a new template in the window: single ones happen
	Known     int64   // seconds after which a template is not new any more
	Clean     int64   // seconds without such lines that end an alert
	Alike     float64 // share of words that agree in lines of one template
	Templates int     // kept of a workload; those not seen for longest go
}

func noveltyDefaults() NoveltyParams {
	return NoveltyParams{
		Warmup: 30 * minute, Window: 5 * minute, Least: 10, Known: 24 * 60 * minute, Clean: 30 * minute,
		Alike: 0.6, Templates: 400,
	}
}

// novelties finds errors in logs that were not there before.
type novelties struct {
	p      NoveltyParams
	states map[string]*logState // by fingerprint
}

type logState struct {
	key, app, workload string
	pod                string
	begun, last        int64                  // Unix seconds of the first and of the newest line
	templates          map[string][]*template // by number of words and the first of them
	count              int
	state              State
	since              int64
	fired              []*template
}

// template is one kind of line.
type template struct {
	words    []string
	example  string
	first    int64 // Unix seconds
	last     int64
	accepted bool
	counts   [8]int // lines by minute, of the newest ones
	minute   int64  // that counts was written to last
}

func newNovelties(p NoveltyParams) *novelties {
	return &novelties{p: p, states: map[string]*logState{}}
}

func (d *novelties) log(l LogLine) {
	workload := Workload(l.App, l.Pod)
	key := fingerprint(l.App, workload, "", LogNovelty)
	s := d.states[key]
	if s == nil {
		s = &logState{key: key, app: l.App, workload: workload, begun: l.T, templates: map[string][]*template{}}
		d.states[key] = s
	}
	s.last = max(s.last, l.T)
	if !serious(l) {
		return
	}
	s.pod = l.Pod
	t := d.find(s, l)
	t.last = max(t.last, l.T)
	t.add(l.T)
}

// find returns the template of a line, a new one where none is alike.
func (d *novelties) find(s *logState, l LogLine) *template {
	w := words(l.Line)
	kind := fmt.Sprint(len(w))
	if len(w) > 0 && !strings.Contains(w[0], "<") {
		kind += " " + w[0]
	}
	for _, t := range s.templates[kind] {
		same, free := 0, 0
		for i, word := range w {
			switch t.words[i] {
			case word:
				same++
			case anything:
				free++
			}
		}
		fixed := len(w) - free
		if differ := fixed - same; float64(same) < d.p.Alike*float64(fixed) || differ > 0 && 2*(free+differ) > len(w) {
			continue // what agrees in nothing says nothing
		}
		for i, word := range w {
			if t.words[i] != word {
				t.words[i] = anything
			}
		}
		return t
	}
	t := &template{words: w, example: cut(l.Line, 200), first: l.T, minute: l.T / minute}
	s.templates[kind] = append(s.templates[kind], t)
	if s.count++; s.count > d.p.Templates {
		s.evict()
	}
	return t
}

// evict drops the template that was not seen for longest.
func (s *logState) evict() {
	var kind string
	at := -1
	for k, list := range s.templates {
		for i, t := range list {
			if at < 0 || t.last < s.templates[kind][at].last || t.last == s.templates[kind][at].last && k < kind {
				kind, at = k, i
			}
		}
	}
	s.templates[kind] = slices.Delete(s.templates[kind], at, at+1)
	if len(s.templates[kind]) == 0 {
		delete(s.templates, kind)
	}
	s.count--
}

// add counts one line.
func (t *template) add(at int64) {
	m := at / minute
	for t.minute < m {
		t.minute++
		if t.minute < m-int64(len(t.counts)) {
			t.minute = m - int64(len(t.counts))
		}
		t.counts[t.minute%int64(len(t.counts))] = 0
	}
	if m > t.minute-int64(len(t.counts)) {
		t.counts[m%int64(len(t.counts))]++
	}
}

// within returns the lines of the minutes before t.
func (t *template) within(at, seconds int64) int {
	sum := 0
	for m := at/minute - seconds/minute; m < at/minute; m++ {
		if m <= t.minute && m > t.minute-int64(len(t.counts)) {
			sum += t.counts[m%int64(len(t.counts))]
		}
	}
	return sum
}

func (d *novelties) forget(app string) {
	maps.DeleteFunc(d.states, func(_ string, s *logState) bool { return s.app == app })
}

// accept takes the templates that fire for known.
func (d *novelties) accept(key string, _ int64) {
	if s := d.states[key]; s != nil {
		for _, t := range s.fired {
			t.accepted = true
		}
		s.state, s.fired = "", nil
	}
}

func (d *novelties) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.states)) {
		s := d.states[key]
		if t-s.last > 7*24*60*minute {
			delete(d.states, key)
			continue
		}
		if a, ok := d.step(s, t); ok {
			alerts = append(alerts, a)
		}
	}
	return alerts
}

func (d *novelties) step(s *logState, t int64) (Alert, bool) {
	for _, kind := range slices.Sorted(maps.Keys(s.templates)) {
		for _, m := range s.templates[kind] {
			fresh := !m.accepted && m.first >= s.begun+d.p.Warmup && t-m.first <= d.p.Known
			if fresh && m.within(t, d.p.Window) >= d.p.Least && !slices.Contains(s.fired, m) {
				s.fired = append(s.fired, m)
			}
		}
	}
	switch {
	case s.state == "" && len(s.fired) > 0:
		s.state, s.since = Firing, s.fired[0].first
		return s.alert(d.p, t, Firing), true
	case s.state == Firing && !slices.ContainsFunc(s.fired, func(m *template) bool { return t-m.last < d.p.Clean }):
		a := s.alert(d.p, t, Resolved)
		for _, m := range s.fired {
			m.accepted = true // it is not new when it comes again
		}
		s.state, s.fired = "", nil
		return a, true
	}
	return Alert{}, false
}

func (s *logState) alert(p NoveltyParams, t int64, state State) Alert {
	a := Alert{
		T: t, Fingerprint: s.key, Detector: LogNovelty, State: state, Severity: Warning,
		App: s.app, Pod: s.pod, Since: s.since, Confidence: 0.7,
		RuledOut: []string{"errors that were there before: only kinds of lines that are new count"},
	}
	for _, m := range s.fired[:min(len(s.fired), 5)] {
		a.Evidence = append(a.Evidence, Fact{
			"new error", fmt.Sprintf("%d in %s: %s", m.within(t, p.Window), spanText(p.Window), cut(strings.Join(m.words, " "), 200)),
			"no such line was in the log before; for example: " + m.example,
		})
	}
	return a
}

// cut shortens a text to some bytes, at the end of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
