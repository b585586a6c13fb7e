package detect

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	longestLine = 1 << 20 // bytes
	longestGap  = 48 * 60 * minute
)

// Replay reads samples, events, points, requests, volumes and log lines as
// JSON lines, in any order, runs an engine over them with their own clock, and
// writes its alerts as JSON lines. A malformed line is an error that names its
// number, and nothing is written then.
//
// What kind a line is its fields tell: "event", "series", "route", "volume" or
// "line"; one with "rss" is a sample. Unknown fields are left alone.
func Replay(ctx context.Context, r io.Reader, w io.Writer, p Params) error {
	entries, err := readEntries(ctx, r)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.t, b.t) })
	e := New(p)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	advance := func(t int64) error {
		for _, a := range e.Advance(t) {
			if err := out.Encode(a); err != nil {
				return fmt.Errorf("writing an alert: %w", err)
			}
		}
		return ctx.Err()
	}
	for i, entry := range entries {
		if i > 0 {
			before := entries[i-1].t
			for t := before - before%minute + minute; t <= entry.t && t <= before+longestGap; t += minute {
				if err := advance(t); err != nil {
					return err
				}
			}
		}
		entry.feed(e)
	}
	if n := len(entries); n > 0 {
		return advance(entries[n-1].t + minute)
	}
	return nil
}

// entry is one line, ready to be fed.
type entry struct {
	t    int64
	feed func(*Engine)
}

func readEntries(ctx context.Context, r io.Reader) ([]entry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	names := interned{}
	var entries []entry
	number := 0
	for lines.Scan() {
		number++
		if number%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		read, err := names.entry(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		entries = append(entries, read)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: it is longer than %d bytes", number+1, longestLine)
	} else if err != nil {
		return nil, fmt.Errorf("reading line %d: %w", number+1, err)
	}
	return entries, nil
}

// inputLine has the fields of all kinds. Numbers may be written as fractions.
type inputLine struct {
	T          *float64 `json:"t"`
	App        string   `json:"app"`
	Pod        string   `json:"pod"`
	Container  string   `json:"container"`
	RSS        *float64 `json:"rss"`
	WorkingSet float64  `json:"working_set"`
	Limit      float64  `json:"limit"`
	CPU        float64  `json:"cpu"`
	Restarts   float64  `json:"restarts"`
	Event      string   `json:"event"`
	Detail     string   `json:"detail"`
	Series     string   `json:"series"`
	Value      *float64 `json:"value"`
	Route      string   `json:"route"`
	Count      *float64 `json:"count"`
	Errors     float64  `json:"errors"`
	P95        float64  `json:"p95"`
	Volume     string   `json:"volume"`
	Used       *float64 `json:"used"`
	Capacity   float64  `json:"capacity"`
	Line       *string  `json:"line"`
	Level      string   `json:"level"`
}

// interned keeps one copy of each name, as they come on every line.
type interned map[string]string

func (in interned) name(s string) string {
	if kept, ok := in[s]; ok {
		return kept
	}
	in[s] = s
	return s
}

func (in interned) entry(text []byte) (entry, error) {
	var l inputLine
	if err := json.Unmarshal(text, &l); err != nil {
		return entry{}, fmt.Errorf("it is not the JSON that is expected: %w", err)
	}
	if l.T == nil || *l.T < 0 || *l.T > math.MaxInt32*64 {
		return entry{}, errors.New(`"t" has to be Unix seconds`)
	}
	for _, figure := range []float64{l.WorkingSet, l.Limit, l.CPU, l.Restarts, l.Errors, l.P95, l.Capacity, deref(l.RSS), deref(l.Count), deref(l.Used)} {
		if figure < 0 || figure > 1<<62 {
			return entry{}, fmt.Errorf("%g is out of range", figure)
		}
	}
	t, app, pod, container := int64(*l.T), in.name(l.App), in.name(l.Pod), in.name(l.Container)
	switch {
	case l.Event != "":
		v := Event{T: t, Event: in.name(l.Event), App: app, Pod: pod, Container: container, Detail: l.Detail}
		return entry{t, func(e *Engine) { e.Event(v) }}, nil
	case l.Series != "" && l.Value != nil:
		v := Point{T: t, Series: in.name(l.Series), Value: *l.Value}
		return entry{t, func(e *Engine) { e.Point(v) }}, nil
	case l.Route != "" && l.Count != nil:
		v := Requests{T: t, Route: in.name(l.Route), App: app, Count: int(*l.Count), Errors: int(l.Errors), P95: l.P95}
		return entry{t, func(e *Engine) { e.Requests(v) }}, nil
	case l.Volume != "" && l.Used != nil:
		v := Volume{T: t, Volume: in.name(l.Volume), App: app, Used: int64(*l.Used), Capacity: int64(l.Capacity)}
		return entry{t, func(e *Engine) { e.Volume(v) }}, nil
	case l.Line != nil:
		v := LogLine{T: t, App: app, Pod: pod, Line: *l.Line, Level: in.name(l.Level)}
		return entry{t, func(e *Engine) { e.Log(v) }}, nil
	case l.RSS != nil && (app != "" || pod != ""):
		v := Sample{
			T: t, App: app, Pod: pod, Container: container,
			RSS: int64(*l.RSS), WorkingSet: int64(l.WorkingSet), Limit: int64(l.Limit), CPU: l.CPU, Restarts: int(l.Restarts),
		}
		return entry{t, func(e *Engine) { e.Sample(v) }}, nil
	}
	return entry{}, errors.New(`it is no sample ("app", "pod", "rss"), event ("event"), point ("series", "value"), minute of a route ("route", "count"), volume ("volume", "used") or log line ("line")`)
}

func deref(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
