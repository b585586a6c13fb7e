package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	double "hks.dev/hks/test/slack"
)

func report() agent.Report {
	return agent.Report{Kind: agent.ReportOpened, Text: "It leaks.", Link: "https://hks.example.com/incidents/7", Incident: &agent.Incident{ID: 7, Title: "Memory grows", Detector: "memory-leak"},
		Chart: &agent.Chart{Title: "Memory", Unit: "bytes", Points: []agent.SeriesPoint{{Time: time.Unix(1_700_000_000, 0).UTC(), Mean: 5}}}}
}

func sender(t *testing.T) *Sender {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestA71WebhookIsJSONAndSigned(t *testing.T) {
	d, err := double.New()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := sender(t)
	for _, token := range []string{"", "a-secret", "a-secret"} {
		ref, err := s.Send(t.Context(), agent.Channel{Kind: agent.ChannelWebhook, URL: d.HookURL("ops"), Token: token}, agent.Message{Report: report(), Picture: []byte("png")})
		if err != nil || ref != "" {
			t.Fatal(ref, err)
		}
	}
	all := d.Hooks()
	if len(all) != 3 || all[0].Path != "ops" {
		t.Fatalf("%+v", all)
	}
	var got struct {
		Version  int
		Kind     string
		Text     string
		Link     string
		Incident struct{ ID int }
		Chart    struct{ Unit string }
	}
	if err := json.Unmarshal([]byte(all[0].Body), &got); err != nil || got.Version != 1 || got.Kind != "opened" || got.Text != "It leaks." || got.Link == "" || got.Incident.ID != 7 || got.Chart.Unit != "bytes" {
		t.Errorf("%+v, %v", got, err)
	}
	if h := all[0].Header; h.Get(HeaderSignature) != "" || h.Get(HeaderEvent) != "opened" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%v", h)
	}
	if h := all[1].Header; h.Get(HeaderSignature) != Sign([]byte(all[1].Body), "a-secret") || h.Get(HeaderSignature) == Sign([]byte(all[1].Body), "another") {
		t.Errorf("%v", h)
	}
	if a, b := all[1].Header.Get(HeaderDelivery), all[2].Header.Get(HeaderDelivery); a == "" || a != b {
		t.Errorf("the same message is delivered as %q and %q", a, b)
	}
	// The known answer of RFC 4231, test case 2.
	if got := Sign([]byte("what do ya want for nothing?"), "Jefe"); got != "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("signed as %s", got)
	}
}

func TestA72WebhookErrors(t *testing.T) {
	tests := []struct {
		name  string
		code  int
		wait  string
		body  string
		ok    bool
		final bool
		after time.Duration
	}{
		{"taken", 200, "", "<html>thanks", true, false, 0},
		{"accepted", 202, "", "", true, false, 0},
		{"no content", 204, "", "", true, false, 0},
		{"redirect", 302, "", "", false, true, 0},
		{"bad request", 400, "", "no such field", false, true, 0},
		{"unauthorized", 401, "", "", false, true, 0},
		{"forbidden", 403, "", "", false, true, 0},
		{"not found", 404, "", "", false, true, 0},
		{"timeout", 408, "", "", false, false, 0},
		{"gone", 410, "", "", false, true, 0},
		{"too many", 429, "7", "", false, false, 7 * time.Second},
		{"too many, silent", 429, "", "", false, false, defaultWait},
		{"too many, forever", 429, "99999999", "", false, false, mostWait},
		{"too many, nonsense", 429, "soon", "", false, false, defaultWait},
		{"too many, since long", 429, "Mon, 02 Jan 2006 15:04:05 GMT", "", false, false, time.Second},
		{"broken", 500, "", "", false, false, 0},
		{"bad gateway", 502, "", "<html>", false, false, 0},
		{"away", 503, "20", "", false, false, 20 * time.Second},
	}
	s := sender(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			elsewhere := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				elsewhere = elsewhere || r.URL.Path == "/elsewhere"
				w.Header().Set("Location", "/elsewhere")
				if test.wait != "" {
					w.Header().Set("Retry-After", test.wait)
				}
				w.WriteHeader(test.code)
				if test.code != 204 {
					_, _ = w.Write([]byte(test.body + r.URL.Path + "?" + r.URL.RawQuery)) // an answer may echo the secret
				}
			}))
			defer server.Close()
			_, err := s.Send(t.Context(), agent.Channel{Kind: agent.ChannelWebhook, URL: server.URL + "/in/the-secret?key=the-secret", Token: "sign"}, agent.Message{Report: report()})
			if test.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := errors.AsType[*agent.SendError](err)
			if !ok || e.Final != test.final || e.After != test.after {
				t.Fatalf("%+v", err)
			}
			if strings.Contains(e.Error(), "the-secret") || elsewhere {
				t.Errorf("elsewhere %v, the error is %s", elsewhere, e)
			}
		})
	}
}

func TestA72WebhookThatIsAway(t *testing.T) {
	d, err := double.New()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := agent.Channel{Kind: agent.ChannelWebhook, URL: d.HookURL("the-secret")}
	s, err := New(Config{HTTP: &http.Client{Timeout: 300 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	for _, down := range []string{double.DownRefused, double.DownHang} {
		if err := d.Set(double.Faults{Down: down}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Send(t.Context(), c, agent.Message{Report: report()})
		if e, ok := errors.AsType[*agent.SendError](err); !ok || e.Final || strings.Contains(e.Error(), "the-secret") {
			t.Errorf("%s: %v", down, err)
		}
	}
	if err := d.Set(double.Faults{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), c, agent.Message{Report: report()}); err != nil || len(d.Hooks()) != 1 {
		t.Errorf("%v, %d calls", err, len(d.Hooks()))
	}
}

func TestWebhookCheck(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.com/in": true, "http://receiver.tools:8080/in": true, "": false, "ftp://example.com": false, "example.com/in": false, "https://": false, "http://a b/": false, "file:///etc/passwd": false,
	} {
		err := sender(t).Check(agent.Channel{URL: address})
		if (err == nil) != ok || err != nil && agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%q: %v", address, err)
		}
	}
}
