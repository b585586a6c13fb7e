package live

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// startRegistry serves a registry with TLS of its own and a password, and says where.
func startRegistry(t *testing.T) (host, caFile string) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "hks" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	caFile = t.TempDir() + "/ca.crt"
	must(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o644))
	return strings.TrimPrefix(srv.URL, "https://"), caFile
}

// tool is an image with busybox in it and something of its own, so that no two are alike.
func tool(t *testing.T, mark string) v1.Image {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for file, data := range map[string][]byte{"bin/busybox": busybox, "mark": []byte(mark)} {
		must(t, w.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(data))}))
		_, err := w.Write(data)
		must(t, err)
	}
	must(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	must(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	must(t, err)
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.Architecture, cfg.OS = runtime.GOARCH, "linux"
	cfg.Config.Entrypoint = []string{"/bin/busybox", "sleep", "1000000"}
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	return img
}

func push(t *testing.T, host, repo string, img v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(host + "/" + repo)
	must(t, err)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test's own server
	must(t, remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: "hks", Password: "s3cret"}), remote.WithTransport(transport)))
}

func writeTar(t *testing.T, file, tag string, img v1.Image) {
	t.Helper()
	ref, err := name.NewTag(tag)
	must(t, err)
	must(t, tarball.WriteToFile(file, ref, img))
}
