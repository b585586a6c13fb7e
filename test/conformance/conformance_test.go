// Package conformance runs the OCI distribution specification's own suite
// against the appliance's registry, and against the plain library that it is
// made of.
package conformance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"

	"hks.dev/hks/agent/registry"
)

func TestMain(m *testing.M) {
	if os.Getenv("HKS_CONFORMANCE") == "" {
		fmt.Println("SKIP: the suite takes half a minute; run it with `make conformance`")
		return
	}
	os.Exit(m.Run())
}

// suiteWithin bounds one run of the suite, its compilation included.
const suiteWithin = 5 * time.Minute

// fewest is what a run that says anything has passed.
const fewest = 500

// What fails in ours fails in the plain library too: the guard at its door,
// the password and TLS change nothing.
func TestRegistryConformsAsThePlainLibraryDoes(t *testing.T) {
	plain := run(t, plainLibrary(t))
	ours := run(t, throughTLS(t))
	t.Logf("plain distribution: %s", plain)
	t.Logf("hks:                %s", ours)
	if plain.passed() < fewest || ours.passed() < plain.passed() {
		t.Errorf("ours passes %d, plain distribution %d", ours.passed(), plain.passed())
	}
	known := plain.failed()
	for name := range ours.failed() {
		if !known[name] {
			t.Errorf("fails in ours only: %s", name)
		}
	}
}

// plainLibrary serves the library as it is.
func plainLibrary(t *testing.T) *url.URL {
	t.Helper()
	logrus.SetOutput(io.Discard)
	app := handlers.NewApp(context.WithoutCancel(t.Context()), &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  {"rootdirectory": t.TempDir()},
		"delete":      {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}})
	t.Cleanup(func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, app)
}

// throughTLS serves the appliance's registry behind a plain listener that
// knows its authority and password, as a node does.
func throughTLS(t *testing.T) *url.URL {
	t.Helper()
	r, err := registry.New(registry.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	mirror := r.Mirror()
	ca, err := os.ReadFile(mirror.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no authority in the file")
	}
	to, err := url.Parse(mirror.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return serve(t, &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.SetBasicAuth(mirror.Username, mirror.Password)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	})
}

func serve(t *testing.T, handler http.Handler) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// results is the suite's report, in the form of JUnit.
type results struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Disabled int `xml:"disabled,attr"`
	Cases    []struct {
		Name  string `xml:"name,attr"`
		Class string `xml:"classname,attr"`
		State string `xml:"status,attr"`
	} `xml:"testsuite>testcase"`
}

func (r results) passed() int {
	return r.Tests - r.Failures - r.Errors - r.Skipped - r.Disabled
}

func (r results) failed() map[string]bool {
	names := map[string]bool{}
	for _, c := range r.Cases {
		if c.State == "failure" || c.State == "error" {
			names[c.Class+"/"+c.Name] = true
		}
	}
	return names
}

// String gives the counts.
func (r results) String() string {
	return fmt.Sprintf("%d pass, %d fail, %d skip", r.passed(), r.Failures+r.Errors, r.Skipped+r.Disabled)
}

// run runs the suite against a registry. It ends with status 1 when anything
// fails; its report says what.
func run(t *testing.T, at *url.URL) results {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteWithin)
	defer cancel()
	folder := t.TempDir()
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=../tools/go.mod", "conformance")
	cmd.Env = append(os.Environ(),
		"OCI_REGISTRY="+at.Host, "OCI_TLS=disabled", "OCI_VERSION=1.0", "OCI_LOG=error", "OCI_RESULTS_DIR="+folder)
	out, failed := cmd.CombinedOutput()
	text, err := os.ReadFile(filepath.Join(folder, "junit.xml"))
	if err != nil {
		t.Fatalf("the suite left no report: %v, %v\n%s", err, failed, out)
	}
	var r results
	if err := xml.Unmarshal(text, &r); err != nil {
		t.Fatalf("reading the suite's report: %v", err)
	}
	return r
}
