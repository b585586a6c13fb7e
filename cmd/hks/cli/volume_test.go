package cli

import "testing"

func TestFullInText(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "", 20: "1 minute", 3600: "60 minutes", 3 * 3600: "3 hours", 47 * 3600: "47 hours", 2 * 86400: "2 days", 2*86400 - 1: "47 hours", 100 * 86400: "100 days",
	} {
		if got := fullInText(seconds); got != want {
			t.Errorf("%d: %q, want %q", seconds, got, want)
		}
	}
}
