package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	oci "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v3/pkg/registry"

	"hks.dev/hks/agent"
)

// archived is a chart as helm package makes it.
func archived(t *testing.T, name string, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	for file, text := range files {
		err := w.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(text))})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPullFromARegistry pulls charts that were pushed to a registry over TLS.
// The registry's authority is one that the machine trusts, by SSL_CERT_FILE,
// which is read at the first connection of the process.
func TestPullFromARegistry(t *testing.T) {
	server := httptest.NewTLSServer(oci.New(oci.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	trusted := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", trusted)
	host := strings.TrimPrefix(server.URL, "https://")
	client, err := registry.NewClient(registry.ClientOptWriter(io.Discard), registry.ClientOptHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	push := func(name, version string, more map[string]string) []byte {
		t.Helper()
		files := map[string]string{"Chart.yaml": "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n", "values.yaml": "colour: red\n"}
		for file, text := range more {
			files[file] = text
		}
		data := archived(t, name, files)
		if _, err := client.Push(data, host+"/team/"+name+":"+version); err != nil {
			t.Fatal(err)
		}
		return data
	}
	data := push("mine", "1.2.3", nil)
	chart, got, err := Pull(t.Context(), "oci://"+host+"/team/mine:1.2.3")
	if err != nil || chart.Name() != "mine" || chart.Version() != "1.2.3" || chart.Values()["colour"] != "red" || !bytes.Equal(got, data) {
		t.Fatalf("got %+v, %v", chart, err)
	}
	push("cluster-wide", "1.0.0", map[string]string{"crds/thing.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n"})
	for name, tt := range map[string]struct{ reference, word string }{
		"no such version":        {"oci://" + host + "/team/mine:9.9.9", "can't be pulled"},
		"no such chart":          {"oci://" + host + "/team/yours:1.2.3", "can't be pulled"},
		"no registry":            {"oci://127.0.0.1:1/team/mine:1.2.3", "can't be pulled"},
		"no address of a chart":  {"https://" + host + "/team/mine", "not the address of a chart"},
		"a chart that we refuse": {"oci://" + host + "/team/cluster-wide:1.0.0", ""},
	} {
		_, _, err := Pull(t.Context(), tt.reference)
		if e, ok := errors.AsType[*agent.Error](err); !ok || e.Fix == "" || !strings.Contains(e.Message, tt.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
