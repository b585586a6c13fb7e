package github

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// madeApp is a GitHub App that was made by a manifest.
type madeApp struct {
	code      string
	key       *rsa.PrivateKey
	installed bool
}

// AppID is the number of the App that the double makes.
const AppID = 4711

const installation = 99

// TokenRequest is what a token of an installation was asked for.
type TokenRequest struct {
	Repositories []string
	Permissions  map[string]string
}

// Deployment is one that was recorded, with its states.
type Deployment struct {
	SHA         string
	Environment string
	States      []string
}

// RefuseAll has requests whose method and path contain a part answered with
// 403.
func (d *Double) RefuseAll(parts ...string) { d.mu.Lock(); d.refused = parts; d.mu.Unlock() }

// Deployments are those that were recorded so far.
func (d *Double) Deployments() []Deployment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.deployments)
}

// MakeApp makes an App as GitHub does when its form is posted, and returns the
// code that the browser brings back, and the key.
func (d *Double) MakeApp() (code, key string, err error) {
	made, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.app = &madeApp{code: rand.Text(), key: made}
	return d.app.code, pemOf(made), nil
}

func pemOf(key *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// Install has the account take the App.
func (d *Double) Install() { d.mu.Lock(); d.app.installed = true; d.mu.Unlock() }

// Tokens tells what tokens of installations were asked for.
func (d *Double) Tokens() []TokenRequest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

func (d *Double) known(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens[token]
}

// asApp tells whether a request may be made with an App's own signature, or
// with none: the code of a manifest stands for itself.
func (d *Double) asApp(r *http.Request, bearer string) bool {
	if strings.Contains(r.URL.Path, "/app-manifests/") {
		return true
	}
	if !strings.HasPrefix(r.URL.Path, "/api/v3/app") {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := strings.LastIndex(bearer, ".")
	if i < 0 || d.app == nil {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(bearer[i+1:])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(bearer[:i]))
	return rsa.VerifyPKCS1v15(&d.app.key.PublicKey, crypto.SHA256, sum[:], signature) == nil
}

// more are pull requests, comparisons, tags, deployments and Apps.
func (d *Double) more(mux *http.ServeMux, repo string, about map[string]any) {
	mux.HandleFunc("GET "+repo+"/branches", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, []any{map[string]any{"name": "main"}}) })
	mux.HandleFunc("PATCH "+repo+"/hooks/{id}", func(w http.ResponseWriter, _ *http.Request) { reply(w, 404, map[string]any{"message": "Not Found"}) })
	mux.HandleFunc("GET "+repo+"/pulls", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		reply(w, 200, append([]map[string]any{}, d.pulls...))
	})
	mux.HandleFunc("GET "+repo+"/tags", d.tags)
	mux.HandleFunc("GET "+repo+"/compare/{range}", d.compare)
	mux.HandleFunc("POST "+repo+"/deployments", func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Ref, Environment string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || strings.Trim(asked.Ref, "0") == "" {
			reply(w, 422, map[string]any{"message": "No ref found for: " + asked.Ref})
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.deployments = append(d.deployments, Deployment{SHA: asked.Ref, Environment: asked.Environment})
		reply(w, 201, map[string]any{"id": len(d.deployments)})
	})
	mux.HandleFunc("POST "+repo+"/deployments/{id}/statuses", func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ State string }
		id, err := strconv.Atoi(r.PathValue("id"))
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			reply(w, 422, map[string]any{"message": err.Error()})
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if err != nil || id < 1 || id > len(d.deployments) {
			reply(w, 404, map[string]any{"message": "Not Found"})
			return
		}
		one := &d.deployments[id-1]
		one.States = append(one.States, asked.State)
		reply(w, 201, map[string]any{"id": 1, "state": asked.State})
	})
	d.apps(mux, about)
}

func (d *Double) apps(mux *http.ServeMux, about map[string]any) {
	page := func() map[string]any {
		return map[string]any{"id": AppID, "slug": "hks-double", "html_url": d.server.URL + "/apps/hks-double"}
	}
	mux.HandleFunc("POST /api/v3/app-manifests/{code}/conversions", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.app == nil || d.app.code == "" || r.PathValue("code") != d.app.code {
			reply(w, 404, map[string]any{"message": "Not Found"})
			return
		}
		d.app.code = "" // good once
		made := page()
		made["pem"], made["webhook_secret"] = pemOf(d.app.key), "s"
		reply(w, 201, made)
	})
	mux.HandleFunc("GET /api/v3/app", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, page()) })
	mux.HandleFunc("GET /api/v3/app/installations", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		all := []any{}
		if d.app != nil && d.app.installed {
			all = append(all, map[string]any{"id": installation, "account": map[string]any{"login": "octo"}})
		}
		reply(w, 200, all)
	})
	mux.HandleFunc(fmt.Sprintf("POST /api/v3/app/installations/%d/access_tokens", installation), func(w http.ResponseWriter, r *http.Request) {
		var asked TokenRequest
		_ = json.NewDecoder(r.Body).Decode(&asked) // none is one for everything
		token := "ghs_" + rand.Text()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.tokens == nil {
			d.tokens = map[string]bool{}
		}
		d.tokens[token], d.asked = true, append(d.asked, asked)
		reply(w, 201, map[string]any{"token": token, "expires_at": time.Now().Add(time.Hour).UTC()})
	})
	mux.HandleFunc("GET /api/v3/installation/repositories", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"total_count": 1, "repositories": []any{about}})
	})
}

func (d *Double) tags(w http.ResponseWriter, r *http.Request) {
	out, err := d.git(r.Context(), d.bare(), "for-each-ref", "--format=%(refname:strip=2) %(objectname) %(*objectname)", "refs/tags")
	if err != nil {
		reply(w, 500, map[string]any{"message": err.Error()})
		return
	}
	all := []any{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		all = append(all, map[string]any{"name": words[0], "commit": map[string]any{"sha": words[len(words)-1]}})
	}
	reply(w, 200, all)
}

func (d *Double) compare(w http.ResponseWriter, r *http.Request) {
	from, to, _ := strings.Cut(r.PathValue("range"), "...")
	out, err := d.git(r.Context(), d.bare(), "diff-tree", "-r", "--name-only", "--end-of-options", from, to)
	if err != nil {
		reply(w, 404, map[string]any{"message": "Not Found"})
		return
	}
	files := []any{}
	for line := range strings.Lines(out) {
		files = append(files, map[string]any{"filename": strings.TrimSpace(line)})
	}
	reply(w, 200, map[string]any{"status": "ahead", "files": files})
}

// OpenPull commits all of a folder as a pull request: of a repository of that
// name, which is a fork unless it is the double's own. It returns the commit.
func (d *Double) OpenPull(ctx context.Context, number int, from, folder, message string) (string, error) {
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", "."}, {"add", "--all"}, {"commit", "--quiet", "--allow-empty", "--message", message},
		{"push", "--quiet", "--force", d.bare(), fmt.Sprintf("HEAD:refs/pull/%d/head", number)},
	} {
		if _, err := d.git(ctx, folder, args...); err != nil {
			return "", err
		}
	}
	sha, err := d.git(ctx, folder, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	d.ClosePull(number)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pulls = append(d.pulls, map[string]any{
		"number": number, "title": message, "user": map[string]any{"login": "stranger"}, "html_url": d.server.URL + "/pull/" + strconv.Itoa(number),
		"head": map[string]any{"ref": "change", "sha": sha, "repo": map[string]any{"full_name": from}},
	})
	return sha, nil
}

// ClosePull closes a pull request.
func (d *Double) ClosePull(number int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pulls = slices.DeleteFunc(d.pulls, func(one map[string]any) bool { return one["number"] == number })
}

// Tag puts a tag at a commit.
func (d *Double) Tag(ctx context.Context, name, sha string) error {
	_, err := d.git(ctx, d.bare(), "tag", "--force", name, sha)
	return err
}

// SendEvent posts a webhook of any event to where the double's go.
func (d *Double) SendEvent(ctx context.Context, event string, body []byte) (int, error) {
	url, secret := d.Hook()
	return sendEvent(ctx, url, event, rand.Text(), Sign(body, secret), body)
}
