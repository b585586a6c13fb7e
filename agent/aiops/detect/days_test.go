package detect_test

import (
	"testing"

	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/test/bench/days"
)

// TestA70LeaksOfGeneratedDays holds the detector to somewhat less than the
// benchmarks do, on a few days that are always the same.
func TestA70LeaksOfGeneratedDays(t *testing.T) {
	score := days.Try(7, 4, days.Detector(detect.Default(), detect.MemoryLeak))[0]
	t.Log(score)
	if p, r := score.Precision(), score.Recall(); p < 0.85 || r < 0.9 {
		t.Errorf("precision %.3f and recall %.3f, want 0.85 and 0.90", p, r)
	}
	if w := score.WarnedShare(); w < 0.9 {
		t.Errorf("%.3f of the slow leaks were warned of before the kill, want 0.90", w)
	}
}
