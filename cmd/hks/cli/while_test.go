package cli

import (
	"testing"
	"time"
)

func TestWhile(t *testing.T) {
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "24h": 24 * time.Hour, "1d": 24 * time.Hour, "30d": 720 * time.Hour, "0d": 0} {
		var got while
		if err := got.Set(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s is %s, %v", text, time.Duration(got), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "soon", "99999999d"} {
		if err := new(while).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: "1h", 24 * time.Hour: "24h", 30 * 24 * time.Hour: "30d", 90 * time.Minute: "1h30m", 2 * time.Second: "2s", 10 * time.Second: "10s"} {
		w := while(d)
		if got := w.String(); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}
