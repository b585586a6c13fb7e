package agent

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestScaleJSON(t *testing.T) {
	for text, want := range map[string]Scale{
		`3`:                          Fixed(3),
		`0`:                          Fixed(0),
		`{"min":1,"max":4,"cpu":70}`: {1, 4, 70},
		`{"max":4}`:                  {1, 4, ScaleCPU},
		`{"min":2,"max":9,"cpu":50}`: {2, 9, 50},
	} {
		var s Scale
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != want {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
		data, err := json.Marshal(s)
		var back Scale
		if err != nil || json.Unmarshal(data, &back) != nil || back != s {
			t.Errorf("%s was written as %s, %v", text, data, err)
		}
		if strings.Contains(string(data), "{") != s.Auto() {
			t.Errorf("%s was written as %s", text, data)
		}
	}
	for _, text := range []string{`null`, `"3"`, `1.5`, `{}`, `{"min":1}`, `{"max":4,"cpu":0}`, `{"max":4,"memory":70}`, `{"max":"4"}`, `[1]`} {
		var s Scale
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was read as %+v", text, s)
		}
	}
}

func TestScaleValidate(t *testing.T) {
	for _, s := range []Scale{Fixed(1), Fixed(100), {1, 2, 10}, {3, 9, 100}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for s, field := range map[Scale]string{Fixed(0): "replicas", Fixed(-1): "replicas", {0, 4, 70}: "replicas", {2, 2, 70}: "max", {3, 2, 70}: "max", {1, 4, 9}: "cpu", {1, 4, 2001}: "cpu"} {
		e, ok := s.Validate().(*Error)
		if !ok || e.Details["field"] != field || e.Fix == "" {
			t.Errorf("%+v: %v", s, e)
		}
	}
}

func TestScaleWords(t *testing.T) {
	for s, want := range map[Scale]string{Fixed(1): "1 instance", Fixed(3): "3 instances", {1, 4, 70}: "1 to 4 instances at 70 % CPU"} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s := Scale{2, 5, 70}
	for n, want := range map[int]int{0: 2, 3: 3, 9: 5} {
		if got := s.Within(n); got != want {
			t.Errorf("%d became %d, want %d", n, got, want)
		}
	}
}
