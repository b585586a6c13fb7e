package cluster

import (
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// TestA80NodeJoinsAndTakesWhatIsMovedThere lets a second machine join by the
// one line, moves an app to it under load and back by removing the node.
func TestA80NodeJoinsAndTakesWhatIsMovedThere(t *testing.T) {
	quiet(t)
	other := newMachine(t)
	if r := try(t, "node", "add", "prod-1", "--no-wait"); r.exit != 1 || !strings.Contains(r.stderr, "hks plan upgrade") {
		t.Errorf("A85 on hobby: exit %d %s%s", r.exit, r.stdout, r.stderr)
	}
	upgrade(t)
	invited := ask[agent.Node](t, "node", "add", "prod-1", "--no-wait")
	if invited.Invite == nil || !strings.Contains(invited.Invite.Command, "--pinnedpubkey") {
		t.Fatalf("the invitation: %+v", invited)
	}
	forged := strings.Replace(invited.Invite.Command, agent.JoinToken, agent.JoinToken+"x", 1)
	if out, err := other.try(t, "sh", "-c", forged); err == nil {
		t.Errorf("a forged invitation was taken:\n%s", out)
	}
	t.Log(other.run(t, "sh", "-c", invited.Invite.Command))
	if out, err := other.try(t, "sh", "-c", invited.Invite.Command); err == nil {
		t.Errorf("a used invitation was taken again:\n%s", out)
	}

	node := ask[agent.Node](t, "node", "show", "prod-1")
	if node.Status != agent.NodeReady || node.Pool != agent.PoolDedicated {
		t.Fatalf("after the join: %+v", node)
	}

	remove(t, "moving")
	url := deploy(t, "moving", "page:1", "--replicas", "2")
	for _, instance := range ask[agent.Node](t, "node", "show", "prod-1").Pods {
		t.Errorf("%s was placed on the dedicated node by itself", instance.Name)
	}
	load := startLoad(t, url)
	hks(t, "app", "move", "moving", "--to", "dedicated", "--yes")
	if r := try(t, "plan", "downgrade", "hobby", "--yes"); r.exit != 1 || !strings.Contains(r.stderr, "dedicated nodes") {
		t.Errorf("A88 a downgrade with a node in use: exit %d %s%s", r.exit, r.stdout, r.stderr)
	}
	if node = ask[agent.Node](t, "node", "show", "prod-1"); len(node.Pods) < 2 {
		t.Errorf("after the move %d instances are on the node", len(node.Pods))
	}
	carries(t, "prod-1")
	if out := hks(t, "node", "remove", "prod-1", "--yes"); !strings.Contains(out, "removed") {
		t.Errorf("removing said %q", out)
	}
	if sent, failed := load.stop(); len(failed) > 0 || sent < 100 {
		t.Errorf("of %d requests %d failed, such as %v", sent, len(failed), failed[:min(len(failed), 3)])
	}
	if app := show(t, "moving"); app.Status != agent.AppRunning {
		t.Errorf("afterwards the app is %s: %s", app.Status, app.Reason)
	}
	if r := try(t, "node", "show", "prod-1"); r.exit == 0 {
		t.Errorf("the removed node is still shown: %s", r.stdout)
	}
	cameBack(t)
	other.run(t, "/usr/local/bin/hks-installer", "purge", "--yes")
	hks(t, "plan", "downgrade", "hobby", "--yes") // nothing is in its way now
}

// upgrade takes the appliance to the plan pro. The agent is killed right after it
// is in force, and it stays; killed in between is what the unit tests do.
func upgrade(t *testing.T) {
	t.Helper()
	if r := try(t, "plan", "upgrade", "pro"); r.exit != 2 {
		t.Errorf("an upgrade that nobody confirmed: exit %d %s", r.exit, r.stderr)
	}
	before := ask[agent.PlanState](t, "plan", "show")
	hks(t, "plan", "upgrade", "pro", "--yes")
	kill(t, "agent")
	up(t)
	eventually(t, time.Minute, func() string {
		r := try(t, "plan", "show", "--json")
		if r.exit != 0 || strings.Contains(r.stdout, `"applying": true`) || !strings.Contains(r.stdout, `"pro"`) {
			return r.stdout + r.stderr
		}
		return ""
	})
	if after := ask[agent.PlanState](t, "plan", "show"); after.Plan.Name != "pro" || after.Plan.StorageBytes <= before.Plan.StorageBytes {
		t.Errorf("after the upgrade: %+v", after)
	}
}
