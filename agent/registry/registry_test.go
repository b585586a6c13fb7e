package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"hks.dev/hks/agent"
)

func start(t *testing.T, dir string, change ...func(*Config)) *Registry {
	t.Helper()
	cfg := Config{Listen: "127.0.0.1:0", Dir: dir, Remote: unreachable{}}
	for _, c := range change {
		c(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, r) })
	return r
}

func stop(t *testing.T, r *Registry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// unreachable is a network without other registries.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("network is unreachable")
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(2048, 2)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// dockerArchive is a docker-archive of the image under the name.
func dockerArchive(t *testing.T, image v1.Image, as string) []byte {
	t.Helper()
	tag, err := name.NewTag(as)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, image, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ociArchive is an OCI layout of the image in a tar.
func ociArchive(t *testing.T, image v1.Image, as string) []byte {
	t.Helper()
	folder := t.TempDir()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{annotationName: as})); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLoadListResolve(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	if images, err := r.List(t.Context()); err != nil || len(images) != 0 {
		t.Errorf("a new registry has %v, %v", images, err)
	}
	image := randomImage(t)
	for as, content := range map[string][]byte{
		"web:1":          dockerArchive(t, image, "web:1"),
		"web:zipped":     zipped(t, dockerArchive(t, image, "web:zipped")),
		"team/layout:v2": ociArchive(t, image, "team/layout:v2"),
	} {
		loaded, err := r.Load(t.Context(), bytes.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", as, err)
		}
		if len(loaded) != 1 || loaded[0].Name != as || loaded[0].SizeBytes == 0 {
			t.Errorf("%s: loaded %+v", as, loaded)
		}
	}

	// A restart finds everything, under the same authority and password.
	before := r.Mirror()
	stop(t, r)
	r = start(t, dir)
	if after := r.Mirror(); before.Password != after.Password || before.Password == "" {
		t.Error("the password changed with a restart")
	}
	images, err := r.List(t.Context())
	if err != nil || len(images) != 3 || images[0].Name != "team/layout:v2" || images[1].Name != "web:1" || images[1].SizeBytes == 0 {
		t.Fatalf("list: %+v, %v", images, err)
	}
	digest := images[1].Digest
	for _, ref := range []string{"web:1", "localhost/web:1", "docker.io/library/web:1", agent.RegistryHost + "/web:1", "web@" + digest} {
		pull, got, err := r.Resolve(t.Context(), ref)
		if err != nil || got != digest || pull != agent.RegistryHost+"/web@"+digest {
			t.Errorf("resolving %s: %q %q %v", ref, pull, got, err)
		}
	}
}

func TestA13ResolveTellsTheRegistrysWords(t *testing.T) {
	foreign := httptest.NewTLSServer(ggcr.New(ggcr.Logger(slog.NewLogLogger(slog.DiscardHandler, 0))))
	defer foreign.Close()
	host := strings.TrimPrefix(foreign.URL, "https://")
	known, err := name.NewTag(host + "/tool:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(known, randomImage(t), remote.WithTransport(foreign.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	r := start(t, t.TempDir(), func(c *Config) { c.Remote = only{host, foreign.Client().Transport} })
	for _, as := range []string{"web:1", host + "/kept:1"} {
		if _, err := r.Load(t.Context(), bytes.NewReader(dockerArchive(t, randomImage(t), as))); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		ref    string
		code   agent.Code
		want   string // part of the message, or of what to pull
		digest bool
	}{
		{ref: host + "/tool:1", want: host + "/tool@sha256:", digest: true},
		{ref: host + "/kept:1", want: agent.RegistryHost + "/", digest: true}, // loaded here, so its own registry is not asked
		{ref: host + "/tool:2", code: agent.CodeImagePull, want: "says MANIFEST_UNKNOWN"},
		{ref: host + "/none:1", code: agent.CodeImagePull, want: "says NAME_UNKNOWN"},
		{ref: "web:2", code: agent.CodeImagePull, want: "only as: 1"},
		{ref: agent.RegistryHost + "/none:1", code: agent.CodeImagePull, want: "has no image none:1"},
		{ref: "Not An Image", code: agent.CodeInvalidImage, want: "not valid"},
		{ref: "away:1", want: "docker.io/library/away:1"}, // can't be asked: no digest, no error
		{ref: "127.0.0.1:1/away", want: "127.0.0.1:1/away:latest"},
	}
	for _, tt := range tests {
		pull, digest, err := r.Resolve(t.Context(), tt.ref)
		text := pull
		if err != nil {
			text = err.Error()
		}
		if agent.CodeOf(err) != tt.code || !strings.Contains(text, tt.want) || (digest != "") != tt.digest {
			t.Errorf("%s: %q %q %v, want %s with %q", tt.ref, pull, digest, err, tt.code, tt.want)
		}
	}
}

// only is a network with one other registry.
type only struct {
	host string
	via  http.RoundTripper
}

func (o only) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host {
		return unreachable{}.RoundTrip(r)
	}
	return o.via.RoundTrip(r)
}

func TestLoadRefusesDamagedArchives(t *testing.T) {
	r := start(t, t.TempDir())
	whole := dockerArchive(t, randomImage(t), "web:1")
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise)
	for what, content := range map[string][]byte{
		"empty": nil, "noise": noise, "cut short": whole[:len(whole)/2], "cut gzip": zipped(t, whole)[:200],
		"names that leave it": files(t, "../outside", []byte("x"), "/etc/outside", []byte("x")),
	} {
		if _, err := r.Load(t.Context(), bytes.NewReader(content)); agent.CodeOf(err) != agent.CodeInvalidImage {
			t.Errorf("%s: %v, want %s", what, err, agent.CodeInvalidImage)
		}
	}
	if left, err := os.ReadDir(r.incoming()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if images, err := r.List(t.Context()); err != nil || len(images) != 0 {
		t.Errorf("kept: %v %v", images, err)
	}
}

func TestLoadKeepsDiskFree(t *testing.T) {
	r := start(t, t.TempDir(), func(c *Config) {
		c.FreeSpace = func(string) (int64, error) { return 1<<30 + 100, nil }
	})
	if _, err := r.Load(t.Context(), bytes.NewReader(dockerArchive(t, randomImage(t), "web:1"))); agent.CodeOf(err) != agent.CodeNoSpace {
		t.Errorf("got %v, want %s", err, agent.CodeNoSpace)
	}
}

func TestStrangersGetNothing(t *testing.T) {
	r := start(t, t.TempDir())
	mirror := r.Mirror()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // what is asked for is the status
	defer client.CloseIdleConnections()
	for _, password := range []string{"", "guess", mirror.Password} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, mirror.Endpoint+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(mirror.Username, password)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		want := http.StatusUnauthorized
		if password == mirror.Password {
			want = http.StatusOK
		}
		if response.StatusCode != want {
			t.Errorf("with a password of %d letters: %s", len(password), response.Status)
		}
	}
	for _, file := range []string{"tls/server.key", "tls/ca.key", "credentials.json"} {
		if info, err := os.Stat(filepath.Join(r.cfg.Dir, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	r := start(t, t.TempDir())
	other, err := New(Config{Dir: t.TempDir(), Listen: strings.TrimPrefix(r.Mirror().Endpoint, "https://")})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(other.Healthy(), other.Stop(t.Context())); err == nil {
		t.Error("it is healthy all the same")
	}
}

// The certificate is renewed before its end, under the same authority.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	clock := func(c *Config) { c.Now = func() time.Time { return now } }
	read := func() (ca, server string) {
		r := start(t, dir, clock)
		defer stop(t, r)
		for name, into := range map[string]*string{"ca.crt": &ca, "server.crt": &server} {
			text, err := os.ReadFile(filepath.Join(dir, "tls", name))
			if err != nil {
				t.Fatal(err)
			}
			*into = string(text)
		}
		return ca, server
	}
	ca, server := read()
	if again, same := read(); again != ca || same != server {
		t.Error("a restart made new certificates")
	}
	now = now.Add(300 * 24 * time.Hour)
	if again, renewed := read(); again != ca || renewed == server {
		t.Error("near its end the certificate was not renewed under its authority")
	}
}
