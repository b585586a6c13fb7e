package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestA10DeployImagePrintsReachableURL(t *testing.T) {
	client := browser(t)
	url := deploy(t, "web", "page:1", "--env", "GREETING=good morning")
	remove(t, "web")
	if !strings.HasPrefix(url, "http") || !strings.Contains(url, "web-staging.localhost") {
		t.Fatalf("the last line printed is not the URL: %q", url)
	}
	for _, address := range []string{url, "https://web-staging.localhost/", "http://web-staging.localhost/"} {
		body, response := get(t, client, address)
		if response.StatusCode != 200 || !strings.Contains(body, "version 1") || !strings.Contains(body, "good morning") {
			t.Errorf("%s answers %s:\n%s", address, response.Status, body)
		}
	}
	for _, kind := range []string{"deployment", "service", "ingress"} {
		if out, err := kubectl(t, "get", kind, "web-staging", "-n", workspace, "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields[0].manager}"); err != nil || out != "hks" {
			t.Errorf("%s web-staging: field manager %q, %v", kind, out, err)
		}
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil || !strings.Contains(string(hosts), "web-staging.localhost") {
		t.Errorf("web-staging.localhost does not resolve for every program of this machine: %v\n%s", err, hosts)
	}
	app := show(t, "web")
	if app.Status != agent.AppRunning || app.Release != 1 || app.Ready != 1 || len(app.Instances) != 1 || app.Digest == "" {
		t.Errorf("hks app show: %+v", app)
	}
}

func TestA10EnvironmentsAreApart(t *testing.T) {
	client := browser(t)
	deploy(t, "twin", "page:1")
	remove(t, "twin")
	deploy(t, "twin", "page:2", "--environment", "production")
	remove(t, "twin/production")
	for url, version := range map[string]string{"https://twin-staging.localhost/": "version 1", "https://twin.localhost/": "version 2"} {
		if body, _ := get(t, client, url); !strings.Contains(body, version) {
			t.Errorf("%s: %s, want %s", url, body, version)
		}
	}
}

func TestA13MissingImageKeepsTheOldReleaseServing(t *testing.T) {
	client := browser(t)
	deploy(t, "shelf", "page:1")
	remove(t, "shelf")
	r := try(t, "deploy", "--name", "shelf", "--image", "page:nowhere", "--port", "8080")
	if r.exit != 1 || !strings.Contains(r.stderr+r.stdout, "page:nowhere") {
		t.Errorf("deploying a missing image: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	if body, _ := get(t, client, "https://shelf-staging.localhost/"); !strings.Contains(body, "version 1") {
		t.Errorf("the old release does not serve: %s", body)
	}
	if app := show(t, "shelf"); app.Status != agent.AppError || app.Release != 1 || app.Reason == "" {
		t.Errorf("status %s, release %d, reason %q; want error, 1 and the registry's words", app.Status, app.Release, app.Reason)
	}
	deploy(t, "shelf", "page:2")
	if app := show(t, "shelf"); app.Status != agent.AppRunning {
		t.Errorf("after the fix: %s %s", app.Status, app.Reason)
	}
}

func TestA14FullPoolMeansPendingAndGoesOnByItself(t *testing.T) {
	quiet(t)
	if out, err := kubectl(t, "taint", "nodes", "--all", "test=full:NoSchedule", "--overwrite"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	untaint := func() { _, _ = kubectl(t, "taint", "nodes", "--all", "test-") }
	t.Cleanup(untaint)
	hks(t, "deploy", "--name", "patient", "--image", "page:1", "--port", "8080", "--no-wait")
	remove(t, "patient")
	eventually(t, time.Minute, func() string {
		if app := show(t, "patient"); app.Status != agent.AppPending || app.Reason == "" {
			return fmt.Sprintf("status %s, reason %q; want pending with the scheduler's reason", app.Status, app.Reason)
		}
		return ""
	})
	untaint()
	eventually(t, 2*time.Minute, func() string {
		if app := show(t, "patient"); app.Status != agent.AppRunning {
			return string(app.Status) + " " + app.Reason
		}
		return ""
	})
}

func TestA16UsageAgreesWithTheKernel(t *testing.T) {
	deploy(t, "heavy", "page:1", "--env", "BALLAST=96", "--memory", "200Mi")
	remove(t, "heavy")
	var app agent.App
	eventually(t, 90*time.Second, func() string {
		if app = show(t, "heavy"); app.Usage.Memory < 96<<20 {
			return fmt.Sprintf("memory %d bytes, sampled %s", app.Usage.Memory, app.Usage.SampledAt)
		}
		return ""
	})
	if app.Usage.MemoryLimit != 200<<20 {
		t.Errorf("memory limit %d, want %d", app.Usage.MemoryLimit, 200<<20)
	}
	kernel := memoryOfPod(t, "heavy")
	if difference := float64(app.Usage.Memory)/float64(kernel) - 1; difference < -0.1 || difference > 0.1 {
		t.Errorf("hks says %d bytes, the cgroup files %d", app.Usage.Memory, kernel)
	}
}

// memoryOfPod reads the pod's working set from the kernel's cgroup files, as
// the kubelet defines it: usage less inactive file pages.
func memoryOfPod(t *testing.T, app string) int64 {
	t.Helper()
	uid, err := kubectl(t, "get", "pods", "-n", workspace, "-l", "hks.dev/app="+app, "-o", "jsonpath={.items[0].metadata.uid}")
	if err != nil {
		t.Fatalf("%v %s", err, uid)
	}
	var folder string
	for _, pattern := range []string{"/sys/fs/cgroup/memory/*/kubepods/*/pod" + uid, "/sys/fs/cgroup/memory/kubepods/*/pod" + uid, "/sys/fs/cgroup/memory/*/*/kubepods/*/pod" + uid,
		"/sys/fs/cgroup/memory/*/*/*/kubepods/*/pod" + uid, "/sys/fs/cgroup/kubepods.slice/*/*" + strings.ReplaceAll(uid, "-", "_") + ".slice"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			folder = found[0]
		}
	}
	if folder == "" {
		t.Fatalf("no cgroup of pod %s", uid)
	}
	usage, stat := "memory.usage_in_bytes", "total_inactive_file"
	if _, err := os.Stat(filepath.Join(folder, usage)); err != nil {
		usage, stat = "memory.current", "inactive_file"
	}
	used := readNumber(t, filepath.Join(folder, usage), "")
	return used - readNumber(t, filepath.Join(folder, "memory.stat"), stat)
}

// readNumber reads a number from a cgroup file, of the line that begins with key.
func readNumber(t *testing.T, file, key string) int64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if (key == "" && len(fields) == 1) || (len(fields) == 2 && fields[0] == key) {
			n, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", file, key)
	return 0
}

func TestA17VersionThatNeverGetsReadyIsRolledBack(t *testing.T) {
	client := browser(t)
	tests := []struct {
		name, app, image string
		args             []string
		want             []string // all in what is printed
	}{
		{"crashes", "crasher", "page:exits", nil, []string{"7", "the database is not there"}},
		{"health path answers 500", "sick", "page:sick", []string{"--health", "/healthz"}, []string{"500"}},
		{"nothing listens on the port", "deaf", "page:deaf", nil, []string{"8080"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each waits for its deadline
			deploy(t, tt.app, "page:1")
			remove(t, tt.app)
			r := try(t, append([]string{"deploy", "--name", tt.app, "--image", tt.image, "--port", "8080"}, tt.args...)...)
			printed := r.stdout + r.stderr
			if r.exit != 1 {
				t.Errorf("exit %d, want 1:\n%s", r.exit, printed)
			}
			for _, want := range tt.want {
				if !strings.Contains(printed, want) {
					t.Errorf("what is printed does not say %q:\n%s", want, printed)
				}
			}
			if body, _ := get(t, client, "https://"+tt.app+"-staging.localhost/"); !strings.Contains(body, "version 1") {
				t.Errorf("the old release does not serve: %s", body)
			}
			newest := ask[[]agent.Release](t, "app", "releases", tt.app)[0]
			if newest.Status != agent.ReleaseFailed || newest.Failure == nil || newest.Failure.Message == "" {
				t.Fatalf("the newest release: %+v", newest)
			}
			if tt.app == "crasher" && (newest.Failure.ExitCode == nil || *newest.Failure.ExitCode != 7 ||
				!strings.Contains(strings.Join(newest.Failure.Logs, "\n"), "the database is not there")) {
				t.Errorf("A20 its exit code and last lines: %+v", newest.Failure)
			}
		})
	}
}

func TestA17NewVersionUnderLoadDropsNoRequest(t *testing.T) {
	deploy(t, "busy", "page:1", "--replicas", "2")
	remove(t, "busy")
	for _, step := range []struct {
		name    string
		command []string
	}{
		{"a second release", []string{"deploy", "--name", "busy", "--image", "page:2", "--port", "8080"}},
		{"a restart", []string{"app", "restart", "busy"}},
		{"more replicas", []string{"app", "scale", "busy", "3"}},
		{"fewer replicas", []string{"app", "scale", "busy", "1"}},
		{"a rollback", []string{"rollback", "busy", "1"}},
	} {
		t.Run(step.name, func(t *testing.T) {
			load := startLoad(t, "https://busy-staging.localhost/")
			hks(t, step.command...)
			settled(t, "busy")
			sent, failed := load.stop()
			t.Logf("%d requests, %d failed", sent, len(failed))
			if len(failed) > 0 || sent < 50 {
				t.Errorf("%d requests, %d failed: %s", sent, len(failed), strings.Join(failed[:min(len(failed), 5)], "; "))
			}
		})
	}
}

// settled waits until the app runs as asked, with no old pod left.
func settled(t *testing.T, name string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		app := show(t, name)
		if app.Status != agent.AppRunning || app.Ready != app.Replicas || len(app.Instances) != app.Replicas {
			return fmt.Sprintf("%s, %d of %d ready, %d instances: %s", app.Status, app.Ready, app.Replicas, len(app.Instances), app.Reason)
		}
		return ""
	})
}

func TestA18RollbackBringsReleaseBackExactly(t *testing.T) {
	client := browser(t)
	deploy(t, "memo", "page:1", "--env", "GREETING=first")
	remove(t, "memo")
	deploy(t, "memo", "page:2", "--env", "GREETING=second")
	if body, _ := get(t, client, "https://memo-staging.localhost/"); !strings.Contains(body, "version 2") || !strings.Contains(body, "second") {
		t.Fatalf("release 2 does not serve: %s", body)
	}
	hks(t, "rollback", "memo", "1")
	if body, _ := get(t, client, "https://memo-staging.localhost/"); !strings.Contains(body, "version 1") || !strings.Contains(body, "first") {
		t.Errorf("after the rollback: %s", body)
	}
	releases := ask[[]agent.Release](t, "app", "releases", "memo")
	if len(releases) != 3 || releases[0].Kind != "rollback" || releases[0].From != 1 || releases[0].Digests["app"] != releases[2].Digests["app"] || releases[0].Digests["app"] == releases[1].Digests["app"] {
		t.Errorf("releases: %+v", releases)
	}
	if out := hks(t, "app", "releases", "memo", "--json"); strings.Contains(out, "second") {
		t.Errorf("an environment value shows in the API's answer: %s", out)
	}
}

func TestA19StopStartScaleDelete(t *testing.T) {
	client := browser(t)
	deploy(t, "lamp", "page:1")
	remove(t, "lamp")
	hks(t, "app", "stop", "lamp")
	eventually(t, time.Minute, func() string {
		if app := show(t, "lamp"); app.Status != agent.AppStopped || len(app.Instances) != 0 {
			return fmt.Sprintf("%s, %d instances", app.Status, len(app.Instances))
		}
		return ""
	})
	if _, response := get(t, client, "https://lamp-staging.localhost/"); response.StatusCode != 503 {
		t.Errorf("a stopped app answers %s", response.Status)
	}
	hks(t, "app", "start", "lamp")
	settled(t, "lamp")
	hks(t, "app", "scale", "lamp", "2")
	settled(t, "lamp")
	if app := show(t, "lamp"); app.Replicas != 2 {
		t.Errorf("%d replicas, want 2", app.Replicas)
	}
	if r := tryInput(t, "no\n", "app", "delete", "lamp"); r.exit == 0 {
		t.Error("delete went ahead without the name typed")
	}
	deletion := ask[agent.Deletion](t, "app", "delete", "lamp", "--yes")
	if len(deletion.Removed) < 3 {
		t.Errorf("removed: %v", deletion.Removed)
	}
	out, err := kubectl(t, "get", "all,ingress,secrets", "-n", workspace, "-l", "hks.dev/app=lamp", "-o", "name")
	if err != nil || strings.Contains(out, "deployment") || strings.Contains(out, "secret/") {
		t.Errorf("left behind: %v %s", err, out)
	}
}

func TestA20LogsFollowSinceAndPrevious(t *testing.T) {
	client := browser(t)
	deploy(t, "talker", "page:1")
	remove(t, "talker")
	get(t, client, "https://talker-staging.localhost/marker-one")
	eventually(t, 30*time.Second, func() string {
		if out := hks(t, "app", "logs", "talker"); !strings.Contains(out, "listening") || !strings.Contains(out, "/marker-one") {
			return out
		}
		return ""
	})
	follow := start(t, "app", "logs", "-f", "talker", "--since", "1s")
	get(t, client, "https://talker-staging.localhost/marker-two")
	follow.until(t, "/marker-two")
}

func TestBadInputMakesNothing(t *testing.T) {
	tests := map[string][]string{
		"bad image name":     {"--name", "bad", "--image", "Not An Image", "--port", "8080"},
		"bad port":           {"--name", "bad", "--image", "page:1", "--port", "70000"},
		"bad env":            {"--name", "bad", "--image", "page:1", "--port", "8080", "--env", "1X=2"},
		"env without value":  {"--name", "bad", "--image", "page:1", "--port", "8080", "--env", "KEY"},
		"bad name":           {"--name", "Bad_Name", "--image", "page:1", "--port", "8080"},
		"bad memory":         {"--name", "bad", "--image", "page:1", "--port", "8080", "--memory", "lots"},
		"memory over quota":  {"--name", "bad", "--image", "page:1", "--port", "8080", "--memory", "900Gi"},
		"the API's own host": {"--name", "bad", "--image", "page:1", "--port", "8080", "--host", "localhost"},
		"bad host":           {"--name", "bad", "--image", "page:1", "--port", "8080", "--host", "a b"},
		"unknown app":        {"--name", "bad", "--image", "page:1", "--port", "8080", "--environment", "moon"},
		"bad path":           {"--name", "bad", "--image", "page:1", "--port", "8080", "--path", "relative"},
		"health not a path":  {"--name", "bad", "--image", "page:1", "--port", "8080", "--health", "http://x"},
		"too many of a kind": {"--name", "bad", "--image", "page:1", "--port", "8080", "--replicas", "100000"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			r := try(t, append([]string{"deploy"}, args...)...)
			if r.exit != 1 && r.exit != 2 {
				t.Errorf("exit %d", r.exit)
			}
			if !strings.Contains(r.stderr, "error: ") {
				t.Errorf("no error in %q", r.stderr)
			}
			for _, app := range ask[[]agent.App](t, "app", "list") {
				if app.Name == "bad" {
					t.Errorf("an app was made: %+v", app)
				}
			}
		})
	}
}
