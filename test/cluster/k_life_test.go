package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// nextVersion is what bin/next holds agent and gateway of.
const nextVersion = "v999.0.0"

// bundleOf makes a folder with the programs of the next version, whose agent
// may be another.
func bundleOf(t *testing.T, agentProgram string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"hks", "hks-agent", "hks-gateway", "hks-installer", "hks-buildkitd", "k3s"} {
		from := filepath.Join(appliance.bin, name)
		if next := filepath.Join(appliance.bin, "next", name); name == "hks-agent" || name == "hks-gateway" {
			from = next
		}
		if err := os.Symlink(from, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	if agentProgram != "" {
		file := filepath.Join(folder, "hks-agent")
		if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte(agentProgram), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func upgradeTo(t *testing.T, from string) (string, error) {
	t.Helper()
	return installer(t.Context(), "upgrade", "--from", from, "--timeout", "90s")
}

// wantVersion wants the appliance to say which version it is and how the last
// change of it went.
func wantVersion(t *testing.T, version string, state agent.UpgradeState) {
	t.Helper()
	system := ask[agent.System](t, "status")
	if system.Version != version || system.Upgrade == nil || system.Upgrade.State != state {
		t.Errorf("the appliance is version %s, and says of the last change %+v; want %s and %s", system.Version, system.Upgrade, version, state)
	}
}

// apiPause measures for how long the API does not answer, until stop is called.
func apiPause(t *testing.T) (stop func() time.Duration) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // whether it answers is asked
	end, longest := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		last := time.Now()
		for {
			select {
			case <-end:
				longest <- most
				return
			case <-time.After(50 * time.Millisecond):
			}
			response, err := client.Get(appliance.url + "/api/info")
			if err != nil {
				continue
			}
			_ = response.Body.Close()
			most, last = max(most, time.Since(last)), time.Now()
		}
	}()
	return func() time.Duration {
		close(end)
		client.CloseIdleConnections()
		return <-longest
	}
}

// One walk through the appliance's life, with an app under load all the way.
func TestA92A99UpgradeFailsIsCutOffSucceedsAndIsRolledBack(t *testing.T) {
	current := strings.TrimSpace(output(t, filepath.Join(appliance.bin, "hks-agent"), "--version"))
	deploy(t, "life", "page:1")
	remove(t, "life")
	engine := pidOf(t, "k3s")
	good := bundleOf(t, "")
	load := startLoad(t, "https://life-staging.localhost/")

	dud := bundleOf(t, "#!/bin/sh\n[ \"$1\" = --version ] && { echo "+nextVersion+"; exit 0; }\necho the new valve is stuck >&2\nexit 1\n")
	out, err := upgradeTo(t, dud)
	if err == nil || !strings.Contains(out, "the new valve is stuck") || !strings.Contains(out, current+" serves again") {
		t.Fatalf("an upgrade to an agent that ends: %v\n%s", err, out)
	}
	wantVersion(t, current, agent.UpgradeReturned)

	pause := apiPause(t)
	cutOff(t, good)
	if out, err := upgradeTo(t, good); err != nil {
		t.Fatalf("the upgrade after one that was killed: %v\n%s", err, out)
	}
	t.Logf("the API was away for %s at most, a kill of the upgrade included", pause().Round(10*time.Millisecond))
	wantVersion(t, nextVersion, agent.UpgradeDone)

	pause = apiPause(t)
	if out, err := installer(t.Context(), "rollback", "--yes", "--timeout", "90s"); err != nil {
		t.Fatalf("rollback: %v\n%s", err, out)
	}
	t.Logf("the API was away for %s at a rollback", pause().Round(10*time.Millisecond))
	wantVersion(t, current, agent.UpgradeDone)
	sent, failed := load.stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), sent, failed[0])
	}
	t.Logf("%d requests, %d failed", sent, len(failed))
	if pidOf(t, "k3s") != engine {
		t.Error("the engine was restarted although it is the same")
	}
}

// cutOff kills an upgrade at a moment that nobody chose.
func cutOff(t *testing.T, from string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(appliance.bin, "hks-installer"), "upgrade", "--root", "/", "--from", from)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := time.Duration(rand.IntN(6000)) * time.Millisecond
	select {
	case <-time.After(after):
	case <-t.Context().Done():
	}
	_ = cmd.Process.Signal(syscall.SIGKILL) // it may have ended, which is a moment too
	_ = cmd.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	t.Logf("killed after %s, as it said: %s", after, lines[len(lines)-1])
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestA99DoctorAndSupportBundle(t *testing.T) {
	if out, err := installer(t.Context(), "doctor"); err != nil {
		t.Errorf("a healthy appliance: %v\n%s", err, out)
	}
	if err := os.Chmod("/var/lib/hks/secret.key", 0o644); err != nil {
		t.Fatal(err)
	}
	kill(t, "agent")
	out, err := installer(t.Context(), "doctor")
	if err == nil || !strings.Contains(out, "the agent does not run") || !strings.Contains(out, "chmod 600 /var/lib/hks/secret.key") {
		t.Errorf("two faults: %v\n%s", err, out)
	}
	t.Run("the support bundle holds no secret, with the agent down", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "support.tar.gz")
		if out, err := installer(t.Context(), "support-bundle", "--output", file); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		searchBundle(t, file)
	})
	if out, err := installer(t.Context(), "doctor", "--fix"); err != nil {
		t.Errorf("after the mends: %v\n%s", err, out)
	}
	healthy(t)
}

// searchBundle looks for the install's secrets in all that was packed.
func searchBundle(t *testing.T, file string) {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSpace(data)
	}
	secrets := [][]byte{read("/var/lib/hks/secret.key"), read("/var/lib/rancher/k3s/server/token")}
	out, err := kubectl(t, "get", "secrets", "-A", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct{ Data map[string][]byte }
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		for key, value := range item.Data {
			if strings.Contains(strings.ToLower(key), "password") || strings.Contains(key, "key") {
				secrets = append(secrets, value)
			}
		}
	}
	archive, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	packed, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		names[name] = len(data)
		for _, secret := range secrets {
			if len(secret) >= 8 && (bytes.Contains(data, secret) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(secret)))) {
				t.Errorf("%s holds a secret", name)
			}
		}
	}
	for _, name := range []string{"doctor.json", "logs/agent.log", "logs/k3s.log", "cluster/pods.txt", "cluster/nodes.txt", "databases.json", "settings/config.yaml"} {
		if names[name] == 0 {
			t.Errorf("%s is missing or empty; there are %v", name, names)
		}
	}
	t.Logf("%d secrets looked for in %d files", len(secrets), len(names))
}

func TestPasswordIsResetOnTheMachine(t *testing.T) {
	out, err := installer(t.Context(), "reset-password", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var link struct{ URL string }
	if err := json.Unmarshal([]byte(out), &link); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusNoContent, http.StatusGone} { // the same again, for the tests that follow
		if got := post(t, "/api/setup", map[string]string{"token": u.Query().Get("token"), "password": password}).StatusCode; got != want {
			t.Errorf("use %d of the link: status %d, want %d", i+1, got, want)
		}
	}
	if activities := hks(t, "activity"); !strings.Contains(activities, "set anew") {
		t.Errorf("the activity says nothing of it:\n%s", activities)
	}
}
