package detect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestA70ReplayTellsWhatTheLivePathTells(t *testing.T) {
	var lines []string
	write := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	e := New(Default())
	var want bytes.Buffer
	out := json.NewEncoder(&want)
	rng := rand.New(rand.NewPCG(5, 6))
	for m := range int64(300) {
		at := begin + m*60
		for i := range int64(4) {
			s := Sample{T: at + 15*i, App: "web", Pod: podA, Container: "app", RSS: int64((100 + float64(m) + rng.NormFloat64()) * mib), Limit: 500 * mib, CPU: 0.1}
			e.Sample(s)
			write(s)
		}
		volume := Volume{T: at, Volume: "data", App: "web", Used: 900 + m/3, Capacity: 1000}
		e.Volume(volume)
		write(volume)
		requests := Requests{T: at, Route: "web.example.com", App: "web", Count: 100, Errors: int(m / 10), P95: 50}
		e.Requests(requests)
		write(requests)
		if m == 200 {
			v := Event{T: at, Event: EventOOMKilled, App: "web", Pod: podA}
			e.Event(v)
			write(v)
		}
		for _, a := range e.Advance(at + 60) {
			if err := out.Encode(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	replay := func() string {
		var got bytes.Buffer
		if err := Replay(t.Context(), strings.NewReader(strings.Join(lines, "\n")), &got, Default()); err != nil {
			t.Fatal(err)
		}
		return got.String()
	}
	if got := replay(); got != want.String() || strings.Count(got, "\n") < 4 {
		t.Errorf("the replay says\n%s\nthe live path says\n%s", got, want.String())
	}
}

func TestReplayOfMalformedLines(t *testing.T) {
	const good = `{"t":1700010000,"app":"web","pod":"web-1","container":"app","rss":1.5e8,"working_set":150000000.0,"limit":0,"cpu":0.1,"restarts":0,"more":[1]}`
	for _, tt := range []struct{ name, line, want string }{
		{"good", good, ""},
		{"a comment", "# no", "line 3: it is not the JSON that is expected"},
		{"cut off", good[:40], "line 3: it is not the JSON"},
		{"two values", good + good, "line 3: it is not the JSON"},
		{"not a number", `{"t":1,"series":"s","value":NaN}`, "line 3: it is not the JSON"},
		{"no time", `{"series":"s","value":1}`, `line 3: "t" has to be Unix seconds`},
		{"time in milliseconds", `{"t":1700010000000,"series":"s","value":1}`, `line 3: "t" has to be`},
		{"before 1970", `{"t":-1,"series":"s","value":1}`, `line 3: "t" has to be`},
		{"negative memory", `{"t":1,"app":"a","rss":-5}`, "line 3: -5 is out of range"},
		{"a series without a value", `{"t":1,"series":"s"}`, "line 3: it is no sample"},
		{"nothing known", `{"t":1}`, "line 3: it is no sample"},
		{"a list", `[]`, "line 3: it is not the JSON"},
		{"too long", `{"t":1,"line":"` + strings.Repeat("x", longestLine) + `"}`, "line 3: it is longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Replay(t.Context(), strings.NewReader(good+"\n\n"+tt.line), &out, Default())
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReplayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Replay(ctx, strings.NewReader(strings.Repeat(`{"t":1,"series":"s","value":1}`+"\n", 2000)), &bytes.Buffer{}, Default())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
