// Package github is a double of GitHub's servers: enough of the REST API for
// go-github, and git over HTTP (git http-backend) with a real bare repository,
// whose pushes send signed webhooks.
package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Token is the one that the double knows.
const Token = "github_pat_double"

// Status is a commit status that was set.
type Status struct {
	SHA         string `json:"-"`
	State       string `json:"state"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

// Double is GitHub with one repository.
type Double struct {
	Name   string // OWNER/NAME
	server *httptest.Server
	dir    string

	mu       sync.Mutex // guards the rest
	hookURL  string
	secret   string
	statuses []Status
	refuse   string // part of paths that are answered with 403
	heads    int    // answers about the branch with a body
	same     int    // those with 304

	refused     []string // parts of method and path that are answered with 403
	pulls       []map[string]any
	deployments []Deployment
	app         *madeApp
	tokens      map[string]bool // of installations
	asked       []TokenRequest
}

// New makes the repository in a folder and serves it on the loopback.
func New(ctx context.Context, dir, name string) (*Double, error) {
	d := &Double{Name: name, dir: dir}
	bare := d.bare()
	if err := os.MkdirAll(bare, 0o755); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "--quiet", "--bare", "--initial-branch=main", "."}, {"config", "uploadpack.allowAnySHA1InWant", "true"}} {
		if _, err := d.git(ctx, bare, args...); err != nil {
			return nil, err
		}
	}
	d.server = httptest.NewServer(d.handler())
	return d, nil
}

// API is the address for hks github connect.
func (d *Double) API() string { return d.server.URL + "/api/v3/" }

// Close ends the server.
func (d *Double) Close() { d.server.Close() }

// Refuse has all requests whose path contains part answered with 403; "" none.
func (d *Double) Refuse(part string) { d.mu.Lock(); d.refuse = part; d.mu.Unlock() }

// Statuses are those that were set so far.
func (d *Double) Statuses() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Status(nil), d.statuses...)
}

// Asked tells how often the branch was told, and how often it was the same.
func (d *Double) Asked() (told, same int) { d.mu.Lock(); defer d.mu.Unlock(); return d.heads, d.same }

// Hook is where webhooks go, and their secret.
func (d *Double) Hook() (url, secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hookURL, d.secret
}

func (d *Double) bare() string { return filepath.Join(d.dir, "git", d.Name+".git") }

func (d *Double) git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Push commits all of a folder to main, sends the webhook, and returns the commit.
func (d *Double) Push(ctx context.Context, folder, message string) (string, error) {
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", "."}, {"add", "--all"}, {"commit", "--quiet", "--allow-empty", "--message", message},
		{"push", "--quiet", "--force", d.bare(), "HEAD:refs/heads/main"},
	} {
		if _, err := d.git(ctx, folder, args...); err != nil {
			return "", err
		}
	}
	sha, err := d.git(ctx, folder, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	url, secret := d.Hook()
	if url == "" {
		return sha, nil
	}
	body := d.Payload(sha)
	if code, err := Send(ctx, url, rand.Text(), Sign(body, secret), body); err != nil || code != http.StatusAccepted {
		return "", fmt.Errorf("the webhook: %d, %w", code, err)
	}
	return sha, nil
}

// Payload is that of a push to main.
func (d *Double) Payload(sha string) []byte {
	data, _ := json.Marshal(map[string]any{"ref": "refs/heads/main", "after": sha, "repository": map[string]any{"full_name": d.Name}}) // of strings only
	return data
}

// Sign is the value of X-Hub-Signature-256.
func Sign(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Send posts a webhook and returns the status of the answer.
func Send(ctx context.Context, url, delivery, signature string, body []byte) (int, error) {
	return sendEvent(ctx, url, "push", delivery, signature, body)
}

func sendEvent(ctx context.Context, url, event, delivery, signature string, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // as long as GitHub waits
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", delivery)
	if signature != "" {
		r.Header.Set("X-Hub-Signature-256", signature)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} // as the hook's insecure_ssl asks
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func (d *Double) handler() http.Handler {
	mux := http.NewServeMux()
	repo := "/api/v3/repos/" + d.Name
	about := map[string]any{"full_name": d.Name, "default_branch": "main", "private": true}
	mux.HandleFunc("GET /api/v3/user", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{"login": "ada"}) })
	mux.HandleFunc("GET /api/v3/user/repos", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, []any{about}) })
	mux.HandleFunc("GET "+repo, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, about) })
	mux.HandleFunc("GET "+repo+"/commits/{ref...}", d.commit)
	mux.HandleFunc("POST "+repo+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		var hook struct{ Config struct{ URL, Secret string } }
		if err := json.NewDecoder(r.Body).Decode(&hook); err != nil {
			reply(w, 422, map[string]any{"message": err.Error()})
			return
		}
		d.mu.Lock()
		d.hookURL, d.secret = hook.Config.URL, hook.Config.Secret
		d.mu.Unlock()
		reply(w, 201, map[string]any{"id": 7})
	})
	mux.HandleFunc("DELETE "+repo+"/hooks/7", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		d.hookURL = ""
		d.mu.Unlock()
		w.WriteHeader(204)
	})
	mux.HandleFunc("POST "+repo+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		s := Status{SHA: r.PathValue("sha")}
		if strings.Trim(s.SHA, "0") == "" {
			reply(w, 422, map[string]any{"message": "No commit found for SHA: " + s.SHA})
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			reply(w, 422, map[string]any{"message": err.Error()})
			return
		}
		d.mu.Lock()
		d.statuses = append(d.statuses, s)
		d.mu.Unlock()
		reply(w, 201, s)
	})
	d.more(mux, repo, about)
	mux.Handle("/"+d.Name+".git/", &cgi.Handler{
		Path: "/usr/bin/git", Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + filepath.Join(d.dir, "git"), "GIT_HTTP_EXPORT_ALL=1"},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, basic, _ := r.BasicAuth()
		bearer := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
		if bearer != Token && basic != Token && !d.known(bearer) && !d.known(basic) && !d.asApp(r, bearer) {
			w.Header().Set("WWW-Authenticate", "Basic")
			reply(w, 401, map[string]any{"message": "Bad credentials"})
			return
		}
		d.mu.Lock()
		refuse := d.refuse != "" && strings.Contains(r.URL.Path, d.refuse)
		for _, part := range d.refused {
			refuse = refuse || strings.Contains(r.Method+" "+r.URL.Path, part)
		}
		d.mu.Unlock()
		if refuse {
			reply(w, 403, map[string]any{"message": "Resource not accessible by personal access token"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (d *Double) commit(w http.ResponseWriter, r *http.Request) {
	sha, err := d.git(r.Context(), d.bare(), "rev-parse", "--verify", "--end-of-options", "refs/"+r.PathValue("ref"))
	if err != nil {
		reply(w, 404, map[string]any{"message": "No commit found"})
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("ETag", `"`+sha+`"`)
	if r.Header.Get("If-None-Match") == `"`+sha+`"` {
		d.same++
		w.WriteHeader(304)
		return
	}
	d.heads++
	reply(w, 200, map[string]any{"sha": sha, "commit": map[string]any{"message": "a change", "author": map[string]any{"name": "Ada"}}})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked is gone then
}
