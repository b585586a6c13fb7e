package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/node"
)

// invitation is the one secret that fakeNodes knows.
const invitation = agent.JoinToken + "good"

// fakeNodes is one node, and one machine that was invited.
type fakeNodes struct{}

func (fakeNodes) List(context.Context) ([]agent.Node, error) {
	return []agent.Node{{Name: "own", Own: true}, {Name: "prod-1"}}, nil
}

func (fakeNodes) Show(_ context.Context, name string) (agent.Node, error) {
	return agent.Node{Name: name}, nil
}

func (fakeNodes) Invite(_ context.Context, name, _ string, at node.Place) (agent.Node, error) {
	return agent.Node{Name: name, Invite: &agent.NodeInvite{Command: at.URL + " " + at.Pin}}, nil
}

func (fakeNodes) Drain(_ context.Context, name, _ string) (agent.Node, error) {
	return agent.Node{Name: name, Status: agent.NodeDraining}, nil
}

func (fakeNodes) Resume(_ context.Context, name, _ string) (agent.Node, error) {
	return agent.Node{Name: name, Status: agent.NodeReady}, nil
}

func (fakeNodes) Remove(_ context.Context, name, _ string) (agent.Node, error) {
	return agent.Node{Name: name, Status: agent.NodeRemoving}, nil
}

func (fakeNodes) Progress(_ context.Context, secret string) (agent.Node, error) {
	if secret != invitation {
		return agent.Node{}, agent.Errorf(agent.CodeUnauthorized, "", "no such invitation")
	}
	return agent.Node{Name: "prod-1"}, nil
}

func (f fakeNodes) Invited(ctx context.Context, secret string) (string, error) {
	found, err := f.Progress(ctx, secret)
	return found.Name, err
}

func (fakeNodes) Begin(_ context.Context, _, host string, _ agent.JoinRequest) (agent.JoinPlan, error) {
	return agent.JoinPlan{Node: "prod-1", Server: "https://" + host + ":6443"}, nil
}

func (fakeNodes) Report(context.Context, string, agent.NodeStep) error { return nil }

func (fakeNodes) Files() ([]agent.JoinFile, error) {
	return []agent.JoinFile{{Name: "hks-installer", SHA256: "abcdef", Size: 7}}, nil
}

func (fakeNodes) Open(string) (io.ReadSeekCloser, error) {
	return closer{bytes.NewReader([]byte("program"))}, nil
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func TestA80JoinScriptNamesTheApplianceAndItsKey(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	answer := a.do(request{path: "/join.sh", host: "192.0.2.9:8443"})
	script := answer.Body.String()
	if answer.Code != http.StatusOK || strings.Contains(script, "'@") {
		t.Fatalf("%d\n%s", answer.Code, script)
	}
	for _, want := range []string{"URL='https://192.0.2.9:", "SHA256='abcdef'", "FINGERPRINT='", "PIN='"} {
		if !strings.Contains(script, want) {
			t.Errorf("the script has no %s", want)
		}
	}
	if !strings.HasSuffix(script, "main \"$@\"\n") {
		t.Error("a script that is cut off would run")
	}
}

func TestA86OnlyTheInvitedMayFetchAndReport(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	for _, path := range []string{"/api/join", "/api/join/files/hks-installer"} {
		a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: path})
		a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: path, bearer: agent.JoinToken + "forged"})
		if answer := a.do(request{path: path, bearer: invitation}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if answer := a.do(request{path: "/api/join/files/hks-installer", bearer: invitation}); answer.Body.String() != "program" {
		t.Errorf("the file: %q", answer.Body)
	}
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{path: "/api/join/files/secret.key", bearer: invitation})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/apps", bearer: invitation}) // it is good for nothing else
}
