// Package samples holds applications of each kind, and the proof that the
// templates build, test and run them.
package samples

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent/build"
)

// sample is a folder with what detection finds in it.
type sample struct {
	folder string
	source build.Source
	listen string // host:port within its container
	pages  []page
	breaks [2]string // file of the tests, and what is replaced in it to have them fail
	from   string    // what breaks is replaced
}

// page is what must be served.
type page struct {
	path, body, header string // what the answer has in it
	status             int
}

var samples = map[string]sample{
	"nodejs": {
		folder: "shop/backend",
		source: build.Source{
			Template: build.NodeJS, PackageManager: "npm", LockFile: "package-lock.json",
			StartCommand: []string{"node", "server.js"}, TestCommand: []string{"npm", "test"}, Port: 3000,
		},
		listen: "127.0.0.1:3000",
		pages: []page{
			{path: "/healthz", status: 200, body: "ok"},
			{path: "/api/items", status: 200, body: `"Teapot"`},
			{path: "/api/items/9", status: 404, body: "no such item"},
		},
		breaks: [2]string{"test/catalogue.test.js", "5551"}, from: "5550",
	},
	"nodejs-react": {
		folder: "shop/frontend",
		source: build.Source{
			Template: build.NodeJSReact, LockFile: "package-lock.json", BuildScript: "build", Output: "dist",
			TestCommand: []string{"npm", "test"}, Port: 8080,
		},
		listen: "127.0.0.1:8080",
		pages: []page{
			{path: "/healthz", status: 200, body: "ok"},
			{path: "/", status: 200, body: `<div id="root">`, header: "no-cache"},
			{path: "/orders/12", status: 200, body: `<div id="root">`, header: "no-cache"},
			{path: "/assets/missing.js", status: 404},
		},
		breaks: [2]string{"test/price.test.js", "6.06"}, from: "6.05",
	},
	"go": {
		folder: "hello-go",
		source: build.Source{Template: build.Go, GoMain: "./cmd/hello", TestCommand: []string{"go", "test", "./..."}, Port: 8080},
		listen: "127.0.0.1:8080",
		pages:  []page{{path: "/healthz", status: 204}, {path: "/?name=Ada", status: 200, body: "Hello, Ada!"}},
		breaks: [2]string{"internal/greeting/greeting_test.go", "Hallo, Ada"}, from: "Hello, Ada",
	},
	"python": {
		folder: "hello-python",
		source: build.Source{Template: build.Python, PythonEntry: "app.py", TestCommand: []string{"python", "-m", "unittest"}, Port: 8000},
		listen: "127.0.0.1:8000",
		pages:  []page{{path: "/healthz", status: 200, body: "true"}, {path: "/?name=Ada", status: 200, body: "Hello, Ada!"}},
		breaks: [2]string{"test_app.py", "Hallo, Ada"}, from: "Hello, Ada",
	},
	"static": {
		folder: "static",
		source: build.Source{Template: build.Static, Port: 8080},
		listen: "127.0.0.1:8080",
		pages: []page{
			{path: "/", status: 200, body: "A plain page"},
			{path: "/about", status: 200, body: "About"},
			{path: "/nothing", status: 404, body: "Not here"},
		},
	},
	"dockerfile": {
		folder: "hello-dockerfile",
		source: build.Source{Template: build.Dockerfile},
		listen: "127.0.0.1:8080",
		pages:  []page{{path: "/", status: 200, body: "Hello from a Dockerfile!"}, {path: "/other", status: 404}},
		breaks: [2]string{"server.test.js", "201)"}, from: "200)",
	},
}

// TestSamples builds each sample with its tests, runs it without root, has its
// tests fail, and builds it anew from the cache.
func TestSamples(t *testing.T) {
	b := newBuilder(t)
	for name, s := range samples {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "source")
			if err := os.CopyFS(folder, os.DirFS(s.folder)); err != nil {
				t.Fatal(err)
			}
			dockerfile, hasTest := recipe(t, s, folder)
			if hasTest {
				if out, err := b.build(t, folder, dockerfile, build.StageTest, ""); err != nil {
					t.Fatalf("the tests fail: %v\n%s", err, out)
				}
			}
			archive := filepath.Join(t.TempDir(), "image.tar")
			if out, err := b.build(t, folder, dockerfile, build.StageRuntime, archive); err != nil {
				t.Fatalf("the build fails: %v\n%s", err, out)
			}
			served(t, archive, s)

			start := time.Now()
			out, err := b.build(t, folder, dockerfile, build.StageRuntime, archive)
			if err != nil {
				t.Fatalf("the second build fails: %v\n%s", err, out)
			}
			t.Logf("unchanged: %s, with a start of the daemon: %s", built(t, out), time.Since(start).Round(time.Millisecond))
			for line := range strings.Lines(out) {
				if strings.Contains(line, "done [") && strings.Contains(line, "] RUN ") {
					t.Errorf("a step of an unchanged folder ran again: %s", line)
				}
			}
			if hasTest {
				replace(t, filepath.Join(folder, s.breaks[0]), s.from, s.breaks[1])
				if out, err := b.build(t, folder, dockerfile, build.StageTest, ""); err == nil {
					t.Errorf("the stage test is fine though a test fails:\n%s", out)
				}
			}
		})
	}
}

// recipe writes the sample's Dockerfile, with the ignores beside it as
// BuildKit looks for them.
func recipe(t *testing.T, s sample, folder string) (dockerfile string, hasTest bool) {
	t.Helper()
	checked, err := build.CheckContext(t.Context(), folder, nil, build.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if s.source.Template == build.Dockerfile {
		return filepath.Join(folder, "Dockerfile"), true
	}
	made, err := build.NewRecipe(s.source, build.Options{Images: build.OwnImages(), CA: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Warnings) > 0 {
		t.Errorf("warnings: %q", made.Warnings)
	}
	ignore := made.Ignore
	if checked.Own {
		ignore = checked.Ignore
	}
	dockerfile = filepath.Join(t.TempDir(), "Dockerfile")
	for path, content := range map[string]string{dockerfile: string(made.Dockerfile), dockerfile + ".dockerignore": strings.Join(ignore, "\n") + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dockerfile, made.Test
}

// served runs the image and looks at its pages.
func served(t *testing.T, archive string, s sample) {
	t.Helper()
	image := unpack(t, archive)
	if user, _, _ := strings.Cut(image.config.User, ":"); user == "" || user == "0" || user == "root" {
		t.Errorf("the image runs as %q", image.config.User)
	}
	history, err := json.Marshal(image.history)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(history), "BEGIN CERTIFICATE") || slices.ContainsFunc(image.config.Env, func(v string) bool { return strings.Contains(v, "/run/secrets") }) {
		t.Error("the image's history or environment tells of the machine's certificates")
	}
	client := run(t, image)
	for _, p := range s.pages {
		answer, body := get(t, client, "http://"+s.listen+p.path)
		if answer.StatusCode != p.status || !strings.Contains(body, p.body) || !strings.Contains(answer.Header.Get("Cache-Control"), p.header) {
			t.Errorf("%s: %s %v %q", p.path, answer.Status, answer.Header, body)
		}
	}
	if s.source.Template == build.NodeJSReact {
		hashed(t, client, "http://"+s.listen)
	}
}

// hashed follows the page to its script, which is kept and compressed.
func hashed(t *testing.T, client *http.Client, base string) {
	t.Helper()
	_, body := get(t, client, base+"/")
	_, rest, ok := strings.Cut(body, `src="/assets/`)
	if !ok {
		t.Fatalf("the page has no script: %s", body)
	}
	name, _, _ := strings.Cut(rest, `"`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/assets/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") || answer.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s: %s %v", name, answer.Status, answer.Header)
	}
}

// get waits for the server to listen.
func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tries := time.NewTicker(50 * time.Millisecond)
	defer tries.Stop()
	for {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err == nil {
			body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
			answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			return answer, string(body)
		}
		select {
		case <-tries.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

func replace(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
}
