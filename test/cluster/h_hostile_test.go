package cluster

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// hostile does harm as its path says, and tells how far it came.
const hostile = `import json, os, socket, time

def harm(request):
    what = request.path.strip("/")
    if what == "loop":
        while True:
            pass
    if what == "memory":
        kept = []
        while True:
            kept.append(b"x" * (16 << 20))
    if what == "fork":
        children = 0
        try:
            while True:
                os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
                children += 1
        except OSError as error:
            return {"children": children, "error": error.strerror}
    if what == "disk":
        told = {}
        for folder in ["/", "/opt/hks", "/tmp"]:
            written = 0
            try:
                with open(os.path.join(folder, "filler"), "wb", buffering=0) as out:
                    while True:
                        written += out.write(b"x" * (1 << 20))
            except OSError as error:
                told[folder] = {"error": error.strerror, "mib": written >> 20}
        os.remove("/tmp/filler")
        return told
    if what == "reach":
        told = {}
        for address in request.args["addresses"].split(","):
            host, port = address.rsplit(":", 1)
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                told[address] = True
            except OSError:
                told[address] = False
        return told
    return socket.gethostname()
`

// TestHostileFunctionsAreContained has one function do what it can: it ends
// itself, and nothing else.
func TestHostileFunctionsAreContained(t *testing.T) {
	client := browser(t)
	f := deployed(t, "hostile", map[string]string{
		"function.yaml": "name: hostile\nruntime: python\nentry: harm\nmemory: 512\ntimeout: 6\nmaxInstances: 2\n", "main.py": hostile,
	})
	call := func(t *testing.T, what string) (int, string) {
		t.Helper()
		status, body, _, took := callFunction(t, client, f, "/"+what)
		t.Logf("%s: %d after %s: %.200s", what, status, took.Round(time.Millisecond), body)
		return status, body
	}
	// served is the pod that answers: whatever was done before, another does soon.
	served := func(t *testing.T) (pod string) {
		t.Helper()
		eventually(t, 15*time.Second, func() string {
			status, body := call(t, "")
			if status != http.StatusOK || body == "" {
				return "a call is answered with " + http.StatusText(status)
			}
			pod = body
			return ""
		})
		return pod
	}
	for _, c := range []struct {
		what   string
		status int
		ends   bool // its pod
		check  func(t *testing.T, body string)
	}{
		{"disk", http.StatusOK, false, func(t *testing.T, body string) {
			told := decoded[map[string]struct {
				Error string
				MiB   int
			}](t, body)
			if len(told) != 3 || told["/"].MiB+told["/opt/hks"].MiB > 0 || told["/tmp"].MiB > 64 || !strings.Contains(told["/tmp"].Error, "No space") {
				t.Errorf("it wrote %+v", told)
			}
		}},
		{"fork", http.StatusOK, false, func(t *testing.T, body string) {
			told := decoded[struct {
				Children int
				Error    string
			}](t, body)
			if told.Children < 100 || told.Children > 1024 || !strings.Contains(told.Error, "temporarily unavailable") {
				t.Errorf("it made %+v", told)
			}
		}},
		{"memory", http.StatusBadGateway, true, nil},
		{"loop", http.StatusGatewayTimeout, true, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := served(t)
			status, body := call(t, c.what)
			if status != c.status {
				t.Fatalf("it is answered with %d, not %d", status, c.status)
			}
			if c.check != nil {
				c.check(t, body)
			}
			if after := served(t); c.ends && after == before {
				t.Errorf("the pod %s goes on", before)
			}
		})
	}
	t.Run("reach", func(t *testing.T) {
		addresses := forbidden(t, client)
		const allowed = "10.43.0.10:53" // the cluster's DNS: the probe itself works
		status, body := call(t, "reach?addresses="+strings.Join(append(addresses, allowed), ","))
		if status != http.StatusOK {
			t.Fatalf("it is answered with %d", status)
		}
		told := decoded[map[string]bool](t, body)
		if !told[allowed] {
			t.Errorf("it does not reach the DNS: the probe proves nothing")
		}
		for _, address := range addresses {
			if reached, asked := told[address]; !asked || reached {
				t.Errorf("it reaches %s", address)
			}
		}
	})
}

// forbidden are addresses that somebody answers at, and no function may reach:
// the API server, kubelet, registry, agent, gateway, a metadata service, and the
// pod of another function.
func forbidden(t *testing.T, client *http.Client) []string {
	t.Helper()
	const metadata = "169.254.169.254" // the gateway answers there, as at all addresses of the machine
	if out, err := exec.CommandContext(t.Context(), "ip", "address", "add", metadata+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("making a metadata address: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "ip", "address", "delete", metadata+"/32", "dev", "lo").CombinedOutput(); err != nil {
			t.Errorf("removing the metadata address: %v %s", err, out)
		}
	})
	other := deployed(t, "neighbour", map[string]string{
		"function.yaml": "name: neighbour\nruntime: python\nentry: hello\nmemory: 512\n", "main.py": "def hello(request):\n    return 'hi'\n",
	})
	if status, _, _, _ := callFunction(t, client, other, "/"); status != http.StatusOK {
		t.Fatalf("the neighbour answers %d", status)
	}
	node, err := kubectl(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	if err != nil {
		t.Fatalf("%v %s", err, node)
	}
	addresses := []string{
		node + ":6443", "10.43.0.1:443", node + ":10250", node + ":5443", node + ":8443", node + ":443", metadata + ":80",
		podIP(t, workspace, agent.LabelFunction+"=neighbour") + ":8081",
	}
	for _, address := range addresses {
		conn, err := net.DialTimeout("tcp", address, 3*time.Second)
		if err != nil {
			t.Errorf("nobody listens at %s, so that it proves nothing: %v", address, err)
			continue
		}
		_ = conn.Close()
	}
	return addresses
}

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
