package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "localhost:8443", "http://localhost:8443", "https://", "https://u:p@host", "https://host/path", "https://host?q", "unix://", "unix://run/x", "://"} {
		if _, err := New(Config{URL: url}); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("New(%q): %v", url, err)
		}
	}
	if _, err := New(Config{URL: "https://host", Fingerprint: "SHA256:12"}); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("a short fingerprint: %v", err)
	}
}

func TestParseFingerprint(t *testing.T) {
	hex := strings.Repeat("0f", 32)
	want := "SHA256:" + hex
	for _, s := range []string{want, hex, "sha256:" + hex, strings.ToUpper(want), " " + want + "\n", strings.TrimSuffix(strings.Repeat("0F:", 32), ":")} {
		if got, err := ParseFingerprint(s); err != nil || got != want {
			t.Errorf("ParseFingerprint(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "SHA256:", "MD5:" + hex, hex + "00", "SHA256:zz" + hex[2:]} {
		if got, err := ParseFingerprint(s); err == nil {
			t.Errorf("ParseFingerprint(%q) = %q", s, got)
		}
	}
}

func TestA08CertificateIsPinned(t *testing.T) {
	hits := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		if got := r.Header.Get("Authorization"); got != "Bearer hks_made-up" {
			t.Errorf("Authorization %q", got)
		}
		answerJSON(w, 200, `{"name":"owner","via":"token"}`)
	}))
	defer server.Close()
	right := FingerprintOf(server.Certificate())
	wrong := "SHA256:" + strings.Repeat("0", 64)

	ask := func(fingerprint string) (agent.Identity, error) {
		c, err := New(Config{URL: server.URL, Fingerprint: fingerprint, Token: "hks_made-up"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Whoami(t.Context())
	}
	if id, err := ask(right); err != nil || id.Name != "owner" {
		t.Errorf("with the right fingerprint: %+v, %v", id, err)
	}
	_, err := ask(wrong)
	e, ok := errors.AsType[*agent.Error](err)
	if !ok || e.Code != CodeCertificate {
		t.Fatalf("with a wrong fingerprint: %v", err)
	}
	for _, want := range []string{right, wrong, "intercepting"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("the message lacks %q: %s", want, e.Message)
		}
	}
	if want := "hks login " + server.URL + " --fingerprint " + right; !strings.Contains(e.Fix, want) {
		t.Errorf("the fix lacks %q: %s", want, e.Fix)
	}
	if _, err := ask(""); agent.CodeOf(err) != CodeNotTrusted {
		t.Errorf("without a fingerprint: %v", err)
	}
	if hits != 1 {
		t.Errorf("%d requests came through, want the one with the right fingerprint", hits)
	}
}

func TestA08InspectShowsTheFingerprint(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	got, err := Inspect(t.Context(), server.URL)
	if want := (Certificate{Fingerprint: FingerprintOf(server.Certificate())}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestUnixSocketNeedsNoToken(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" || r.Header.Get("Authorization") != "" {
			t.Errorf("host %q, authorization %q", r.Host, r.Header.Get("Authorization"))
		}
		answerJSON(w, 200, `{"name":"root","via":"socket"}`)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()
	c, err := New(Config{URL: "unix://" + socket, Token: "hks_made-up"})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := c.Whoami(t.Context()); err != nil || id.Name != "root" || !c.Local() {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestErrorsOfTheAPI(t *testing.T) {
	tests := map[string]struct {
		handler http.HandlerFunc
		code    agent.Code
		message string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 422, `{"error":{"code":"QUOTA_EXCEEDED","message":"no room","fix":"free some","details":{"used":2}}}`)
		}, agent.CodeQuota, "no room"},
		"another web server": {func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }, CodeNotAppliance, "not an hks appliance (HTTP status 404)"},
		"a web page":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, CodeNotAppliance, "not an hks appliance"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.invalid", http.StatusFound)
		}, CodeNotAppliance, "HTTP status 302"},
		"a gateway in between": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, CodeUnreachable, "HTTP status 502"},
		"a torn answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answerJSON(w, 200, `{"name":`)
		}, CodeUnreachable, "failed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, tt.handler).Whoami(t.Context())
			if agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %s %v, want %s %q", agent.CodeOf(err), err, tt.code, tt.message)
			}
		})
	}
}

func TestUnreachableSaysWhatWhyAndNext(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := map[string]struct{ url, message, fix string }{
		"nothing listens": {"https://127.0.0.1:1", "https://127.0.0.1:1 can't be reached: nothing listens there", "systemctl status hks-agent"},
		"unknown host":    {"https://appliance.invalid:8443", "appliance.invalid is not known", "spelling"},
		"no TLS":          {strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS", "port"},
		"no socket":       {"unix:///nowhere/agent.sock", "the agent is not running", "systemctl start hks-agent"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := New(Config{URL: tt.url})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Info(t.Context())
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != CodeUnreachable || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Fix, tt.fix) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestSlowApplianceAndLeavingCaller(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c.cfg.Timeout = 20 * time.Millisecond
	if _, err := c.Info(t.Context()); agent.CodeOf(err) != CodeUnreachable || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("a slow appliance: %v", err)
	}
	c.cfg.Timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := c.Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who leaves: %v", err)
	}
}

func TestA10DeployKeepsOrClearsEnv(t *testing.T) {
	var bodies []map[string]any
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		bodies = append(bodies, body)
		answerJSON(w, 202, `{"number":4}`)
	})
	for _, env := range []map[string]string{nil, {}, {"A": agent.HiddenValue}} {
		if _, err := c.Deploy(t.Context(), "web", agent.Staging, agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 80}}, Env: env}); err != nil {
			t.Fatal(err)
		}
	}
	if _, sent := bodies[0]["env"]; sent {
		t.Errorf("nil, which keeps all variables, was sent: %v", bodies[0])
	}
	if env, sent := bodies[1]["env"].(map[string]any); !sent || len(env) != 0 {
		t.Errorf("the empty map, which takes all away, was not sent: %v", bodies[1])
	}
	if env, _ := bodies[2]["env"].(map[string]any); env["A"] != agent.HiddenValue {
		t.Errorf("a kept value: %v", bodies[2])
	}
}

func TestLoadImage(t *testing.T) {
	archive := bytes.Repeat([]byte("x"), 1<<20)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(data, archive) || r.Header.Get("Content-Type") != "application/x-tar" || r.ContentLength != int64(len(archive)) {
			t.Errorf("%d bytes of %d, %s, %v", len(data), r.ContentLength, r.Header.Get("Content-Type"), err)
		}
		answerJSON(w, 201, `[{"name":"web:1"}]`)
	})
	var sent int64
	images, err := c.LoadImage(t.Context(), bytes.NewReader(archive), int64(len(archive)), func(n int64) {
		if n < sent {
			t.Errorf("progress went back from %d to %d", sent, n)
		}
		sent = n
	})
	if err != nil || len(images) != 1 || images[0].Name != "web:1" || sent != int64(len(archive)) {
		t.Errorf("%+v, %d sent, %v", images, sent, err)
	}
}

func TestPruneAndDeleteImage(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		answerJSON(w, 200, `{"removed":[{"name":"web:1"}],"freedBytes":7}`)
	})
	for _, dryRun := range []bool{true, false} {
		if done, err := c.PruneImages(t.Context(), dryRun); err != nil || done.FreedBytes != 7 || len(done.Removed) != 1 {
			t.Errorf("%+v, %v", done, err)
		}
	}
	if _, err := c.DeleteImage(t.Context(), "team/web:1?x"); err != nil {
		t.Error(err)
	}
	if _, err := c.ImageUsage(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{"POST /api/images/prune?dryRun=true", "POST /api/images/prune?dryRun=false", "DELETE /api/images/team/web:1%3Fx", "GET /api/images/usage"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

func TestLoadImageRefusedBeforeItIsSent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, 401, `{"error":{"code":"UNAUTHORIZED","message":"the token was revoked"}}`)
	})
	var sent int64
	_, err := c.LoadImage(t.Context(), io.LimitReader(endless{}, 1<<30), 1<<30, func(n int64) { sent = n })
	if agent.CodeOf(err) != agent.CodeUnauthorized || sent > 1<<20 {
		t.Errorf("%d bytes were sent, error %v", sent, err)
	}
}

func TestLoadImageOfABrokenArchive(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // fails, as it should
		answerJSON(w, 400, `{"error":{"code":"INVALID","message":"cut short"}}`)
	})
	broken := agent.Errorf(agent.CodeInvalidImage, "", "two images")
	_, err := c.LoadImage(t.Context(), io.MultiReader(strings.NewReader("x"), failing{broken}), -1, nil)
	if agent.CodeOf(err) != agent.CodeInvalidImage {
		t.Errorf("error %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
