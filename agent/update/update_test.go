package update

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOnlyWhatIsSignedIsBelieved(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(text))) + "\n"
	}
	for name, test := range map[string]struct {
		text, signature, running string
		available                bool
		failure                  string
	}{
		"a newer one":      {`{"version":"1.3.0","notes":"https://x.example/n"}`, "", "1.2.3", true, ""},
		"with a v":         {`{"version":"v1.3.0"}`, "", "v1.2.3", true, ""},
		"the same":         {`{"version":"1.2.3"}`, "", "1.2.3", false, ""},
		"an older one":     {`{"version":"1.2.2"}`, "", "1.2.3", false, ""},
		"a developer's":    {`{"version":"9.0.0"}`, "", "dev", false, ""},
		"another key":      {`{"version":"9.0.0"}`, base64.StdEncoding.EncodeToString(make([]byte, 64)), "1.2.3", false, "not signed"},
		"no signature":     {`{"version":"9.0.0"}`, "none", "1.2.3", false, "not signed"},
		"no version":       {`{"version":"new"}`, "", "1.2.3", false, "no version"},
		"something else":   {`<html>`, "", "1.2.3", false, "no version"},
		"too much of it":   {strings.Repeat(" ", maxFile+1), "", "1.2.3", false, "too large"},
		"notes elsewhere":  {`{"version":"1.3.0","notes":"javascript:x"}`, "", "1.2.3", true, ""},
		"the server fails": {"", "", "1.2.3", false, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case test.text == "":
					http.NotFound(w, r)
				case r.URL.Path == "/latest.sig" && test.signature != "":
					_, _ = w.Write([]byte(test.signature))
				case r.URL.Path == "/latest.sig":
					_, _ = w.Write([]byte(sign(test.text)))
				default:
					_, _ = w.Write([]byte(test.text))
				}
			}))
			t.Cleanup(server.Close)
			l, err := New(Config{URL: server.URL + "/latest", Key: base64.StdEncoding.EncodeToString(public), Version: test.running})
			if err != nil {
				t.Fatal(err)
			}
			got := l.Look(t.Context())
			if got.Available != test.available || (got.Failure == "") != (test.failure == "") || !strings.Contains(got.Failure, test.failure) || got.CheckedAt.IsZero() {
				t.Errorf("%+v", got)
			}
			if strings.HasPrefix(got.Notes, "javascript") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWithoutAnAddressNobodyIsAsked(t *testing.T) {
	l, err := New(Config{Version: "1.2.3", HTTP: &http.Client{Transport: refuse{t}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Look(t.Context()); got.Enabled || got.Available || got.Failure != "" {
		t.Errorf("%+v", got)
	}
	if _, err := New(Config{URL: "https://x.example/latest", Key: "no"}); err == nil {
		t.Error("an address without a key was taken")
	}
}

type refuse struct{ t *testing.T }

func (r refuse) RoundTrip(request *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was asked", request.URL)
	return nil, http.ErrUseLastResponse
}
