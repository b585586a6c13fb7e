package cluster

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// The files of this package run in the order of their names: the owner is
// made here, once, and everything after it works as that owner.

// post sends JSON to the API, trusting its certificate blindly: these tests
// ask what a stranger on the network could do.
func post(t *testing.T, path string, body any) *http.Response {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, appliance.url+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("posting to %s: %v", path, err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestA01OneTimeLinkMakesTheOwnerOnce(t *testing.T) {
	token := appliance.setupLink[strings.Index(appliance.setupLink, "token=")+len("token="):]
	tests := []struct {
		name   string
		token  string
		status int
	}{
		{"forged link", strings.Repeat("A", len(token)), http.StatusForbidden},
		{"no token", "", http.StatusForbidden},
		{"the printed link", token, http.StatusNoContent},
		{"the same link again", token, http.StatusForbidden},
	}
	for _, tt := range tests {
		response := post(t, "/api/setup", map[string]string{"token": tt.token, "password": password})
		if got := response.StatusCode; got != tt.status && (got < 400 || got >= 500 || tt.status < 400) {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.status)
		}
	}
	if r := try(t, "setup-link"); r.exit == 0 {
		t.Errorf("a second link was given although an owner exists:\n%s", r.stdout)
	}
}

func TestA02WorkspaceAppearsAtFirstLogin(t *testing.T) {
	var ws agent.Workspace
	eventually(t, time.Minute, func() string {
		r := try(t, "workspace", "show", "--json")
		if r.exit != 0 {
			return r.stderr
		}
		if err := json.Unmarshal([]byte(r.stdout), &ws); err != nil {
			return err.Error()
		}
		if ws.Status != agent.WorkspaceReady {
			return string(ws.Status) + " " + ws.Step + " " + ws.Reason
		}
		return ""
	})
	if ws.Name != workspace || len(ws.Resources) == 0 {
		t.Errorf("workspace %+v", ws)
	}
	for _, kind := range []string{"resourcequota", "limitrange", "networkpolicy", "serviceaccount", "rolebinding"} {
		out, err := kubectl(t, "get", kind, "-n", ws.Name, "-o", "name")
		if err != nil || strings.TrimSpace(out) == "" {
			t.Errorf("no %s in the workspace: %v %s", kind, err, out)
		}
	}
	out, err := kubectl(t, "get", "namespace", ws.Name, "-o", "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}")
	if err != nil || out != ws.PodLevel {
		t.Errorf("pod security enforced: %q, the workspace says %q (%v)", out, ws.PodLevel, err)
	}
}

func TestA03WorkspaceIsRenamedBeforeAnythingIsDeployed(t *testing.T) {
	for _, name := range []string{"studio", workspace} {
		hks(t, "workspace", "rename", name)
		eventually(t, time.Minute, func() string {
			if ws := ask[agent.Workspace](t, "workspace", "show"); ws.Name != name || ws.Status != agent.WorkspaceReady {
				return string(ws.Status) + " " + ws.Name + " " + ws.Step + ws.Reason
			}
			return ""
		})
	}
	eventually(t, time.Minute, func() string {
		if out, err := kubectl(t, "get", "namespace", "studio"); err == nil {
			return "the old namespace is still there: " + out
		}
		return ""
	})
}

func TestA07SecondWorkspaceIsRefused(t *testing.T) {
	r := try(t, "workspace", "create", "another")
	if r.exit != 1 || !strings.Contains(r.stderr, "plan") || !strings.Contains(r.stderr, "1") {
		t.Errorf("exit %d, stderr %q; want the plan's limit named", r.exit, r.stderr)
	}
}

func TestA08LoginFromAnotherMachine(t *testing.T) {
	t.Setenv("HKS_CONFIG_DIR", t.TempDir())
	wrong := tryInput(t, password+"\n", "login", appliance.url, "--password-stdin", "--fingerprint", "SHA256:"+strings.Repeat("0", 64))
	if wrong.exit == 0 || !strings.Contains(wrong.stderr, "fingerprint") {
		t.Errorf("a wrong fingerprint: exit %d, %q", wrong.exit, wrong.stderr)
	}
	if r := tryInput(t, "not the password\n", "login", appliance.url, "--password-stdin", "--fingerprint", appliance.fingerprint); r.exit == 0 {
		t.Error("a wrong password logs in")
	}
	if r := tryInput(t, password+"\n", "login", appliance.url, "--password-stdin", "--fingerprint", appliance.fingerprint); r.exit != 0 {
		t.Fatalf("login: exit %d\n%s", r.exit, r.stderr)
	}
	if who := ask[agent.Identity](t, "whoami"); who.Name != "owner" || who.Via != "token" {
		t.Errorf("whoami: %+v", who)
	}
	hks(t, "logout")
	if r := try(t, "--url", appliance.url, "whoami"); r.exit == 0 {
		t.Errorf("after logout still: %s", r.stdout)
	}
}
