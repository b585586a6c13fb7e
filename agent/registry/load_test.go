package registry

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"hks.dev/hks/agent"
)

// files is a tar with the named contents.
func files(t *testing.T, entries ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		content, ok := entries[i+1].([]byte)
		if !ok {
			text, err := json.Marshal(entries[i+1])
			if err != nil {
				t.Fatal(err)
			}
			content = text
		}
		if err := w.WriteHeader(&tar.Header{Name: entries[i].(string), Size: int64(len(content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A node pulls over TLS, with the authority's file and the password, and gets
// the image whole.
func TestNodePullsOverTLS(t *testing.T) {
	r := start(t, t.TempDir())
	image := randomImage(t)
	if _, err := r.Load(t.Context(), bytes.NewReader(dockerArchive(t, image, "web:1"))); err != nil {
		t.Fatal(err)
	}
	mirror := r.Mirror()
	ca, err := os.ReadFile(mirror.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no authority in the file")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	options := []remote.Option{
		remote.WithTransport(transport), remote.WithContext(t.Context()),
		remote.WithAuth(&authn.Basic{Username: mirror.Username, Password: mirror.Password}),
	}
	host := strings.TrimPrefix(mirror.Endpoint, "https://")
	ref, err := name.ParseReference(host + "/web:1")
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(ref, options...)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := pulled.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("layers %v, %v", layers, err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed() // as a node reads it; its digest is checked at the end
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			t.Error(err)
		}
	}
	want, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pulled.ConfigName(); err != nil || got != want {
		t.Errorf("another configuration came back: %v, %v", got, err)
	}

	// A builder pushes over the same way, and the image can be resolved.
	built, err := name.NewTag(host + "/built:7")
	if err != nil {
		t.Fatal(err)
	}
	pushed := randomImage(t)
	if err := remote.Write(built, pushed, options...); err != nil {
		t.Fatal(err)
	}
	digest, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if pull, got, err := r.Resolve(t.Context(), "built:7"); err != nil || got != digest.String() {
		t.Errorf("resolved %q %q %v", pull, got, err)
	}
}

func TestLoadRefusesWhatIsNotWhole(t *testing.T) {
	r := start(t, t.TempDir())
	layer := []byte("a layer that is not what its digest says")
	config := func(diff ...string) map[string]any {
		return map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": diff}}
	}
	wrong := "sha256:" + strings.Repeat("0", 64)
	list := func(tags []string, layers ...string) []dockerImage {
		return []dockerImage{{Config: "c.json", RepoTags: tags, Layers: layers}}
	}
	tests := map[string]struct {
		content []byte
		want    string
	}{
		"layer of another digest": {files(t, "manifest.json", list([]string{"web:1"}, "l.tar"), "c.json", config(wrong), "l.tar", layer), "does not match its checksum"},
		"layer missing":           {files(t, "manifest.json", list([]string{"web:1"}, "l.tar"), "c.json", config(wrong)), `lacks "l.tar"`},
		"configuration missing":   {files(t, "manifest.json", list([]string{"web:1"})), `lacks "c.json"`},
		"layers miscounted":       {files(t, "manifest.json", list([]string{"web:1"}), "c.json", config(wrong)), "names 1 layers"},
		"no name":                 {files(t, "manifest.json", list(nil), "c.json", config()), "has no name"},
		"hostile name":            {files(t, "manifest.json", list([]string{"../../etc:1"}), "c.json", config()), "not valid"},
		"another machine":         {files(t, "manifest.json", list([]string{"web:1"}), "c.json", map[string]any{"architecture": "s390x", "os": "linux"}), "linux/s390x"},
		"not JSON":                {files(t, "manifest.json", []byte("{")), "no valid JSON"},
		"hostile digest":          {files(t, "manifest.json", list([]string{"web:1"}, "l.tar"), "c.json", config("sha256:../../x"), "l.tar", layer), "malformed"},
		"layout without blobs": {files(t, "oci-layout", map[string]any{}, "index.json",
			map[string]any{"manifests": []any{map[string]any{"digest": wrong, "size": 3}}}), "lacks"},
		"no image at all": {files(t, "readme", []byte("hello")), "neither manifest.json"},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			_, err := r.Load(t.Context(), bytes.NewReader(tt.content))
			if agent.CodeOf(err) != agent.CodeInvalidImage || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s %v, want it to say %q", agent.CodeOf(err), err, tt.want)
			}
		})
	}
	if images, err := r.List(t.Context()); err != nil || len(images) != 0 {
		t.Errorf("kept: %v %v", images, err)
	}
}

func TestLoadStopsAtTheLimit(t *testing.T) {
	r := start(t, t.TempDir(), func(c *Config) { c.MaxArchive = 4096 })
	for what, content := range map[string]io.Reader{
		"plain": bytes.NewReader(make([]byte, 10_000)), "zipped": bytes.NewReader(zipped(t, make([]byte, 10_000_000))),
	} {
		if _, err := r.Load(t.Context(), content); agent.CodeOf(err) != agent.CodeTooLarge {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left, err := os.ReadDir(r.incoming()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestLoadEndsWithItsCaller(t *testing.T) {
	r := start(t, t.TempDir())
	broken := io.MultiReader(bytes.NewReader(dockerArchive(t, randomImage(t), "web:1")[:700]), &failing{})
	if _, err := r.Load(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "connection lost") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(r.incoming()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errLost }

// One layer in two images is kept once; loading again changes nothing; a tag
// moves to the newer image.
func TestLoadAgain(t *testing.T) {
	r := start(t, t.TempDir())
	first := randomImage(t)
	second, err := mutate.Config(first, v1.Config{Cmd: []string{"/other"}})
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for _, image := range []v1.Image{first, first, second} {
		loaded, err := r.Load(t.Context(), bytes.NewReader(dockerArchive(t, image, "docker.io/library/web:1")))
		if err != nil || len(loaded) != 1 || loaded[0].Name != "web:1" {
			t.Fatalf("%+v, %v", loaded, err)
		}
		digests[loaded[0].Digest] = true
		if _, got, err := r.Resolve(t.Context(), "web:1"); err != nil || got != loaded[0].Digest {
			t.Errorf("resolved %s, %v", got, err)
		}
	}
	if len(digests) != 2 {
		t.Errorf("digests %v", digests)
	}
	if images, err := r.List(t.Context()); err != nil || len(images) != 1 {
		t.Errorf("list %+v, %v", images, err)
	}
	// The older one is still there for a rollback, by digest.
	for digest := range digests {
		if _, got, err := r.Resolve(t.Context(), "web@"+digest); err != nil || got != digest {
			t.Errorf("by digest: %s, %v", got, err)
		}
	}
}

var errLost = errors.New("connection lost")

// A new registry has nothing to tell, and an upload that was cut off by a
// crash is gone after the next start.
func TestStartRemovesInterruptedUploads(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	logged := func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	stop(t, start(t, dir, logged))
	if log.Len() > 0 {
		t.Errorf("a new registry logs: %s", &log)
	}
	upload := filepath.Join(dir, "data/docker/registry/v2/repositories/web/_uploads/8e9e5ad4-5d0b-4bd4-8f0e-7b2a2a7a4b6d")
	if err := os.MkdirAll(upload, 0o700); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for name, text := range map[string]string{"startedat": before, "data": "half of a layer"} {
		if err := os.WriteFile(filepath.Join(upload, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "incoming", "archive-1.tar"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, logged)
	if _, err := os.Stat(upload); !os.IsNotExist(err) {
		t.Errorf("the upload is still there: %v", err)
	}
	if left, err := os.ReadDir(r.incoming()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
