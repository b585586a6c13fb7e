package buildkit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// Bounds of what is kept and told of a build's output. How much a step may
// write is bounded by BuildKit itself (2 MiB).
const (
	maxLine   = 2000 // bytes of a line
	keptLines = 40   // of each step, for the error
)

// progress turns BuildKit's reports into events. One goroutine feeds it; it is
// read after that has ended.
type progress struct {
	on    func(Event)
	mask  *strings.Replacer
	steps map[digest.Digest]*step
	order []*step
}

// step is what is known of a vertex of BuildKit's graph.
type step struct {
	number    int
	name      string
	began     bool
	ended     bool
	cached    bool
	failure   string
	open      [3][]byte // the unfinished line of each stream
	lines     []string  // the last ones
	startedAt time.Time
}

func newProgress(secrets map[string][]byte, on func(Event)) *progress {
	if on == nil {
		on = func(Event) {}
	}
	return &progress{on: on, mask: newMask(secrets), steps: map[digest.Digest]*step{}}
}

func (p *progress) step(id digest.Digest) *step {
	s := p.steps[id]
	if s == nil {
		s = &step{number: len(p.order) + 1}
		p.steps[id] = s
		p.order = append(p.order, s)
	}
	return s
}

func (p *progress) take(status *client.SolveStatus) {
	for _, vertex := range status.Vertexes {
		p.vertex(vertex)
	}
	for _, log := range status.Logs {
		p.log(log)
	}
	for _, warning := range status.Warnings {
		s := p.step(warning.Vertex)
		p.tell(s, Event{Kind: StepWarning, Time: time.Now(), Text: p.clean(warning.Short)})
	}
}

// vertex takes in the state of one step. BuildKit repeats itself: only what
// is new is told.
func (p *progress) vertex(v *client.Vertex) {
	s := p.step(v.Digest)
	s.name = cmp.Or(p.clean([]byte(v.Name)), s.name)
	if v.Started != nil && !s.began {
		s.began, s.startedAt = true, *v.Started
		if !v.Cached {
			p.tell(s, Event{Kind: StepStarted, Time: *v.Started})
		}
	}
	if v.Cached && !s.cached {
		s.cached, s.ended = true, true
		p.tell(s, Event{Kind: StepCached, Time: moment(v.Completed)})
		return
	}
	if v.Completed == nil || s.ended {
		return
	}
	s.ended = true
	p.flushStep(s)
	if v.Error != "" {
		s.failure = p.clean([]byte(v.Error))
		p.tell(s, Event{Kind: StepFailed, Time: *v.Completed, Text: s.failure, Took: v.Completed.Sub(s.startedAt)})
		return
	}
	p.tell(s, Event{Kind: StepDone, Time: *v.Completed, Took: v.Completed.Sub(s.startedAt)})
}

// moment is a time that may not be told.
func moment(at *time.Time) time.Time {
	if at == nil {
		return time.Now()
	}
	return *at
}

// log takes in a piece of a step's output, which ends anywhere.
func (p *progress) log(log *client.VertexLog) {
	s := p.step(log.Vertex)
	stream := min(max(log.Stream, 0), len(s.open)-1)
	rest := append(s.open[stream], log.Data...)
	for {
		line, after, found := cutLine(rest)
		if !found {
			break
		}
		p.line(s, log.Timestamp, line)
		rest = after
	}
	s.open[stream] = slices.Clone(rest)
}

func (p *progress) line(s *step, at time.Time, line []byte) {
	text := p.clean(line)
	s.lines = append(s.lines, text)
	if len(s.lines) > keptLines {
		s.lines = slices.Delete(s.lines, 0, len(s.lines)-keptLines)
	}
	p.tell(s, Event{Kind: StepLog, Time: at, Text: text})
}

// flush tells the last lines that had no end.
func (p *progress) flush() {
	for _, s := range p.order {
		p.flushStep(s)
	}
}

func (p *progress) flushStep(s *step) {
	for stream, rest := range s.open {
		if len(rest) > 0 {
			p.line(s, time.Now(), rest)
			s.open[stream] = nil
		}
	}
}

func (p *progress) tell(s *step, e Event) {
	e.Step, e.Name = s.number, s.name
	p.on(e)
}

// failed returns the step that ended the build: the one named, else the first
// that failed for a reason of its own; nil when there is none.
func (p *progress) failed(id digest.Digest) *step {
	if s := p.steps[id]; s != nil {
		return s
	}
	for _, s := range p.order {
		if s.failure != "" && !strings.Contains(s.failure, "context canceled") {
			return s
		}
	}
	return nil
}
