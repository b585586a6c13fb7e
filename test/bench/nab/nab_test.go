package nab

import (
	"math"
	"testing"
)

func TestScore(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 10 {
		t.Fatalf("%d series, want 10", len(all))
	}
	var nothing, perfect Result
	for _, s := range all {
		nothing = nothing.Add(s.Judge(nil))
		var first []int64
		for _, w := range s.Windows {
			first = append(first, w[0])
		}
		perfect = perfect.Add(s.Judge(first))
	}
	if nothing.Score() != 0 {
		t.Errorf("finding nothing scores %.2f, want 0", nothing.Score())
	}
	if got := perfect.Score(); math.Abs(got-100) > 0.01 {
		t.Errorf("finding all at once scores %.2f, want 100", got)
	}
	if perfect.Found != perfect.Windows || perfect.False != 0 {
		t.Errorf("found %d of %d with %d false", perfect.Found, perfect.Windows, perfect.False)
	}
	s := all[0] // two windows; before the first is a false alarm at full cost
	if got, want := s.Judge([]int64{s.Windows[0][0] - 60}).Raw, -2-falseAlarm; math.Abs(got-want) > 1e-9 {
		t.Errorf("a false alarm scores %.3f, want %.3f", got, want)
	}
}
