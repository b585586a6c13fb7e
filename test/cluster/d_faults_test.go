package cluster

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// pidOf reads the pid file of one of the appliance's own processes.
func pidOf(t *testing.T, name string) int {
	t.Helper()
	data, err := os.ReadFile("/run/hks/" + name + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.FieldsFunc(string(data), func(r rune) bool { return r < '0' || r > '9' })
	if len(fields) == 0 {
		t.Fatalf("no pid in %q", data)
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func kill(t *testing.T, name string) {
	t.Helper()
	quiet(t)
	if err := syscall.Kill(pidOf(t, name), syscall.SIGKILL); err != nil {
		t.Fatalf("killing %s: %v", name, err)
	}
}

// up runs `hks-installer up` again, as a supervisor or the owner would.
func up(t *testing.T) {
	t.Helper()
	if out, err := installer(t.Context(), "up", "--from", appliance.bin); err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
}

// healthy waits until every part of the appliance says it is.
func healthy(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		r := try(t, "status", "--json")
		if r.exit != 0 {
			return r.stdout + r.stderr
		}
		if strings.Contains(strings.ReplaceAll(r.stdout, " ", ""), `"healthy":false`) {
			return r.stdout
		}
		return ""
	})
}

func TestA96KilledAgentLosesNoAcceptedWork(t *testing.T) {
	client := browser(t)
	deploy(t, "steady", "page:1")
	remove(t, "steady")
	engine, gateway := pidOf(t, "k3s"), pidOf(t, "gateway")
	load := startLoad(t, "https://steady-staging.localhost/")
	hks(t, "deploy", "--name", "steady", "--image", "page:2", "--port", "8080", "--no-wait")
	kill(t, "agent")
	up(t)
	settled(t, "steady")
	if app := show(t, "steady"); app.Release != 2 {
		t.Errorf("release %d serves, want the accepted 2: %+v", app.Release, app)
	}
	if body, _ := get(t, client, "https://steady-staging.localhost/"); !strings.Contains(body, "version 2") {
		t.Errorf("serves %s", body)
	}
	if sent, failed := load.stop(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed while the agent was away: %s", len(failed), sent, failed[0])
	}
	if pidOf(t, "k3s") != engine || pidOf(t, "gateway") != gateway {
		t.Error("the agent did not adopt k3s and the gateway, but started others")
	}
}

func TestA96KilledEngineComesBack(t *testing.T) {
	deploy(t, "rock", "page:1")
	remove(t, "rock")
	load := startLoad(t, "https://rock-staging.localhost/")
	kill(t, "k3s")
	t.Run("the API says that the cluster is away, and what to do", func(t *testing.T) {
		eventually(t, 20*time.Second, func() string {
			if r := try(t, "status", "--json"); !strings.Contains(strings.ReplaceAll(r.stdout, " ", ""), `"healthy":false`) {
				return r.stdout
			}
			return ""
		})
		r := try(t, "deploy", "--name", "rock", "--image", "page:2", "--port", "8080", "--no-wait")
		if r.exit != 0 && (!strings.Contains(r.stderr, "error: ") || !strings.Contains(r.stderr, "fix: ")) {
			t.Errorf("exit %d, %q", r.exit, r.stderr)
		}
	})
	healthy(t)
	settled(t, "rock")
	if sent, failed := load.stop(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed while k3s was away: %s", len(failed), sent, failed[0])
	}
}

func TestKilledGatewayComesBackAndServesFromItsTable(t *testing.T) {
	client := browser(t)
	deploy(t, "door", "page:1")
	remove(t, "door")
	before := pidOf(t, "gateway")
	kill(t, "gateway")
	eventually(t, 30*time.Second, func() string {
		if pidOf(t, "gateway") == before {
			return "no new gateway"
		}
		if err := fetch(t.Context(), client, "https://door-staging.localhost/"); err != nil {
			return err.Error()
		}
		return ""
	})
}

func TestA06ForgedSessionIsRefused(t *testing.T) {
	t.Setenv("HKS_CONFIG_DIR", t.TempDir())
	t.Setenv("HKS_URL", appliance.url)
	t.Setenv("HKS_FINGERPRINT", appliance.fingerprint)
	t.Setenv("HKS_TOKEN", "hks_"+strings.Repeat("x", 43))
	r := try(t, "app", "list")
	if r.exit != 1 || !strings.Contains(r.stderr, "hks login") {
		t.Errorf("exit %d, %q; want the login named", r.exit, r.stderr)
	}
}

func TestA94DownAndUpFindsEverythingAsItWas(t *testing.T) {
	quiet(t)
	client := browser(t)
	url := deploy(t, "keeper", "page:1", "--env", "GREETING=kept")
	remove(t, "keeper")
	if out, err := installer(t.Context(), "down"); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	t.Run("down leaves nothing behind", func(t *testing.T) {
		for _, name := range leftovers(t) {
			t.Error(name)
		}
	})
	up(t)
	healthy(t)
	settled(t, "keeper")
	if body, response := get(t, client, url); !strings.Contains(body, "kept") {
		t.Errorf("after down and up: %s, %v, %q", response.Status, response.Header, body)
	}
	if ws := ask[agent.Workspace](t, "workspace", "show"); ws.Name != workspace || ws.Status != agent.WorkspaceReady {
		t.Errorf("workspace %+v", ws)
	}
}

// leftovers lists what a machine without the appliance must not have.
func leftovers(t *testing.T) []string {
	t.Helper()
	var left []string
	add := func(format string, args ...any) { left = append(left, fmt.Sprintf(format, args...)) }
	processes, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		argv, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err != nil {
			continue // not a process, or gone
		}
		line := strings.ReplaceAll(string(argv), "\x00", " ")
		for _, name := range []string{"hks-agent", "hks-gateway", "k3s", "containerd", "/pause"} {
			if command, _, _ := strings.Cut(line, " "); strings.Contains(command, name) && !strings.Contains(line, "cluster.test") {
				add("process %s: %s", p.Name(), line)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.Contains(fields[4], "/k3s/") || strings.Contains(fields[4], "/kubelet/") || strings.Contains(fields[4], "/netns/cni-") || strings.Contains(fields[4], "/hks/volumes/") {
			add("mount %s", fields[4])
		}
	}
	interfaces, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if name := i.Name(); name == "cni0" || strings.HasPrefix(name, "veth") && name != "veth0" || strings.HasPrefix(name, "flannel") {
			add("interface %s", name)
		}
	}
	if hosts, err := os.ReadFile("/etc/hosts"); err != nil || strings.Contains(string(hosts), "hks") {
		add("lines in /etc/hosts: %v %s", err, hosts)
	}
	for _, file := range []string{"/usr/local/bin/hks", "/usr/local/bin/k3s", "/run/hks/agent.sock"} {
		if _, err := os.Lstat(file); err == nil {
			add("file %s", file)
		}
	}
	return left
}
