package kube

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"hks.dev/hks/agent"
)

func TestDeferredReadsTheCredentialWhenItAppearsAndChanges(t *testing.T) {
	serve := func(version string) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"` + version + `"}}`))
		}))
		t.Cleanup(server.Close)
		return server
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	point := func(at string, modified time.Time) {
		cfg := api.NewConfig()
		cfg.Clusters["c"] = &api.Cluster{Server: at}
		cfg.Contexts["c"] = &api.Context{Cluster: "c"}
		cfg.CurrentContext = "c"
		if err := clientcmd.WriteToFile(*cfg, file); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	client, err := NewDeferred(Config{Kubeconfig: file})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (string, error) {
		ns, err := client.Interface().CoreV1().Namespaces().Get(t.Context(), "x", metav1.GetOptions{})
		if err != nil {
			return "", Explain("asking", err)
		}
		return ns.Name, nil
	}
	if _, err := ask(); agent.CodeOf(err) != agent.CodeClusterAway {
		t.Errorf("without a file: %v", err)
	}
	for i, want := range []string{"one", "two"} {
		point(serve(want).URL, time.Unix(int64(1000+i), 0))
		if got, err := ask(); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}
