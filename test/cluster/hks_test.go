package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// result is what one run of the command gave.
type result struct {
	stdout, stderr string
	exit           int
}

// try runs the hks command.
func try(t *testing.T, args ...string) result {
	t.Helper()
	return tryInput(t, "", args...)
}

func tryInput(t *testing.T, input string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("running hks %s: %v", strings.Join(args, " "), err)
	}
	return result{stdout: stdout.String(), stderr: stderr.String(), exit: cmd.ProcessState.ExitCode()}
}

// hks runs the command and fails the test when it fails.
func hks(t *testing.T, args ...string) string {
	t.Helper()
	r := try(t, args...)
	if r.exit != 0 {
		t.Fatalf("hks %s: exit %d\n%s%s", strings.Join(args, " "), r.exit, r.stdout, r.stderr)
	}
	return r.stdout
}

// ask runs the command with --json and decodes its answer.
func ask[T any](t *testing.T, args ...string) T {
	t.Helper()
	var v T
	out := hks(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("hks %s --json: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// show returns the app as `hks app show` has it.
func show(t *testing.T, name string) agent.App {
	t.Helper()
	return ask[agent.App](t, "app", "show", name)
}

// deploy deploys an image and returns the URL that was printed.
func deploy(t *testing.T, name, image string, args ...string) string {
	t.Helper()
	out := strings.TrimSpace(hks(t, append([]string{"deploy", "--name", name, "--image", image, "--port", "8080"}, args...)...))
	return out[strings.LastIndex(out, "\n")+1:]
}

// remove deletes the app after the test. The next test does not wait for its
// instances to be drained; one that needs the machine to itself calls quiet.
func remove(t *testing.T, name string) {
	t.Cleanup(func() {
		appliance.leaving.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "app", "delete", name, "--yes")
			if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "no app") {
				fmt.Printf("deleting %s: %v\n%s\n", name, err, out)
			}
		})
	})
}

// quiet waits until the apps of earlier tests are gone.
func quiet(t *testing.T) {
	t.Helper()
	began := time.Now()
	appliance.leaving.Wait()
	t.Logf("waited %s for what earlier tests leave", time.Since(began).Round(time.Second))
}

// eventually waits until ok says "", and fails with what it last said.
func eventually(t *testing.T, within time.Duration, ok func() string) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		last := ok()
		if last == "" {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", within, last)
		case <-tick.C:
		}
	}
}

// browser is an HTTP client that trusts the gateway's local authority and
// finds *.localhost on this machine, as a browser does.
func browser(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority(t)) {
		t.Fatal("the appliance's ca.crt holds no certificate")
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
				address = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 15 * time.Second}
}

func authority(t *testing.T) []byte {
	t.Helper()
	// The root is public and checked against nothing here: it is what the test asks for.
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	body, _ := get(t, client, appliance.url+"/ca.crt")
	return []byte(body)
}

// get fetches a page.
func get(t *testing.T, client *http.Client, url string) (string, *http.Response) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("fetching %s: %v", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading %s: %v", url, err)
	}
	return string(body), response
}

// kubectl runs the engine's own kubectl as the cluster's administrator.
func kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return kubectlWith(t.Context(), args...)
}

// kubectlWith is kubectl for clean-ups, which have a context of their own.
func kubectlWith(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/local/bin/k3s", append([]string{"kubectl", "--kubeconfig", "/etc/rancher/k3s/k3s.yaml"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
