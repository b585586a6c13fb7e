package installer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hks.dev/hks/agent"
)

// fakeRegistry answers for images at a machine's socket.
type fakeRegistry struct {
	mu     sync.Mutex // guards the rest
	images []agent.Image
	loads  []string // what was sent
	full   bool
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := f.images
	if r.Method == http.MethodPost {
		data, err := io.ReadAll(r.Body)
		if err != nil || f.full {
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = io.WriteString(w, `{"error":{"code":"NO_SPACE","message":"the disk is full","fix":"make room"}}`)
			return
		}
		sum := sha256.Sum256(data)
		image := agent.Image{Name: "hks/" + string(data), Digest: "sha256:" + hex.EncodeToString(sum[:])}
		f.loads, f.images, answer = append(f.loads, string(data)), append(f.images, image), []agent.Image{image}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// loaded tells what was sent since the last call.
func (f *fakeRegistry) loaded() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	loads := f.loads
	f.loads = nil
	return loads
}

func TestBaseImagesAreLoadedOnce(t *testing.T) {
	root, err := os.MkdirTemp("", "hks") // a socket's path has few bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	var says bytes.Buffer
	m, err := newMachine(Config{Err: &says}, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{m.paths.State(), filepath.Dir(m.paths.AgentSocket())} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	registry := &fakeRegistry{images: []agent.Image{}}
	listener, err := net.Listen("unix", m.paths.AgentSocket())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(registry)
	_ = server.Listener.Close() // the socket is listened on instead
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)

	from := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(from, "images", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(want ...string) {
		t.Helper()
		err := m.loadBaseImages(t.Context(), from)
		if got := registry.loaded(); err != nil || !slices.Equal(got, want) {
			t.Errorf("loaded %q, %v, want %q", got, err, want)
		}
	}

	load() // there are none
	write("node.tar", "node:24")
	write("static.tar", "static:1")
	write("README", "no image")
	load("node:24", "static:1")
	if text := says.String(); !strings.Contains(text, "loading the base image node.tar\n") {
		t.Errorf("it says %q", text)
	}
	if info, err := os.Stat(m.knownFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what is known: %v, %v", info, err)
	}
	load() // all are there

	write("static.tar", "static:1.1") // a newer one
	load("static:1.1")

	registry.mu.Lock()
	registry.images = slices.DeleteFunc(registry.images, func(i agent.Image) bool { return i.Name == "hks/node:24" })
	registry.mu.Unlock()
	load("node:24") // it was removed from the registry

	if err := os.WriteFile(m.knownFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	load("node:24", "static:1.1") // what is known can't be read
	if text := says.String(); !strings.Contains(text, "warning: what base images are loaded is not known") {
		t.Errorf("it says %q", text)
	}

	registry.mu.Lock()
	registry.full = true
	registry.mu.Unlock()
	write("go.tar", "go:1.26")
	if err := m.loadBaseImages(t.Context(), from); agent.CodeOf(err) != agent.CodeNoSpace {
		t.Errorf("a full disk: %v", err)
	}
	server.Close()
	if err := m.loadBaseImages(t.Context(), from); err == nil {
		t.Error("loaded without an agent")
	}
	if err := m.loadBaseImages(t.Context(), ""); err != nil {
		t.Errorf("from nowhere: %v", err)
	}
}
