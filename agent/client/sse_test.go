package client

import (
	"reflect"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	tests := map[string]struct {
		stream string
		want   []frame
	}{
		"one event":               {"event: log\nid: 7\ndata: {}\n\n", []frame{{event: "log", id: "7", data: []byte("{}")}}},
		"data in several lines":   {"data: a\ndata:b\ndata\n\n", []frame{{data: []byte("a\nb\n")}}},
		"carriage returns":        {"event: x\r\ndata: y\r\n\r\n", []frame{{event: "x", data: []byte("y")}}},
		"heartbeats are nothing":  {": beat\n\n: beat\n\ndata: a\n\n", []frame{{data: []byte("a")}}},
		"an id is kept":           {"id: 1\ndata: a\n\ndata: b\n\n", []frame{{id: "1", data: []byte("a")}, {id: "1", data: []byte("b")}}},
		"an id alone":             {"id: 4\n\ndata: a\n\n", []frame{{id: "4"}, {id: "4", data: []byte("a")}}},
		"an id with NUL":          {"id: 1\x00\ndata: a\n\n", []frame{{data: []byte("a")}}},
		"no data, no event":       {"event: x\n\ndata: a\n\n", []frame{{data: []byte("a")}}},
		"empty data":              {"event: end\ndata:\n\n", []frame{{event: "end", data: []byte{}}}},
		"cut short":               {"data: a\n\ndata: b\n", []frame{{data: []byte("a")}}},
		"unknown fields":          {"retry: 5\ncolour: red\ndata: a\n\n", []frame{{data: []byte("a")}}},
		"only one space is taken": {"data:  a\n\n", []frame{{data: []byte(" a")}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []frame
			for f, err := range frames(strings.NewReader(tt.stream)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, f)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFramesRefusesAnEndlessLine(t *testing.T) {
	var last error
	for _, err := range frames(strings.NewReader("data: " + strings.Repeat("x", maxLine+1))) {
		last = err
	}
	if last == nil {
		t.Error("a line without end was taken")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add("event: log\nid: 7\ndata: {}\n\n")
	f.Add(": beat\r\n\r\ndata\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		for fr, err := range frames(strings.NewReader(stream)) {
			if err == nil && strings.ContainsAny(fr.id, "\x00\n") {
				t.Errorf("the id %q", fr.id)
			}
		}
	})
}
