package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// secretBytes is the length of a one-time secret before it is written down.
const secretBytes = 32

// Place is how the appliance is reached by the machine that is to join.
type Place struct {
	URL string // https://HOST:PORT of the API
	Pin string // base64 of the SHA-256 of its certificate's public key
}

// Invite makes an invitation for one machine, in place of an earlier one of
// that name whose machine never came to be a node.
func (m *Manager) Invite(ctx context.Context, name, by string, at Place) (agent.Node, error) {
	if err := agent.ValidateName("node", name); err != nil {
		return agent.Node{}, err
	}
	if err := m.allow(ctx); err != nil {
		return agent.Node{}, err
	}
	if name == m.cfg.Own {
		return agent.Node{}, agent.Errorf(agent.CodeConflict, "choose another name", "%q is the appliance's own node", name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if row, ok, err := m.cfg.Store.Node(ctx, name); err != nil {
		return agent.Node{}, err
	} else if ok && row.Status != agent.NodeProvisioning && row.Status != agent.NodeFailed {
		return agent.Node{}, agent.Errorf(agent.CodeConflict, "choose another name, or remove it first with: hks node remove "+name, "there is a node %q already", name)
	}
	secret := agent.JoinToken + random()
	now := m.cfg.Now()
	row := store.Node{
		Name: name, Status: agent.NodeProvisioning, Message: "waits for the machine to run the command", Token: hash(secret),
		ExpiresAt: now.Add(m.cfg.InviteLife), By: by, CreatedAt: now, ChangedAt: now,
	}
	if err := m.cfg.Store.PutNode(ctx, row); err != nil {
		return agent.Node{}, err
	}
	m.cfg.Publish("node", name, nil)
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + name, Message: "a machine was invited to join as " + name, By: by})
	node := fromRow(row)
	command := fmt.Sprintf("curl -fsSk --pinnedpubkey 'sha256//%s' %s/join.sh | HKS_JOIN=%s sh", at.Pin, at.URL, secret)
	node.Invite = &agent.NodeInvite{
		Command: command, ExpiresAt: row.ExpiresAt.UTC(),
		CloudInit: "#cloud-config\nruncmd:\n  - " + quoteYAML(command) + "\n",
	}
	return node, nil
}

// allow holds the plan's limit of dedicated nodes.
func (m *Manager) allow(ctx context.Context) error {
	workspace, err := m.cfg.Workspaces.Current(ctx)
	if err != nil {
		return err
	}
	limit := workspace.Plan.DedicatedNodes
	if limit == agent.Unlimited {
		return nil
	}
	rows, err := m.cfg.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	if len(rows) < limit {
		return nil
	}
	return &agent.Error{
		Code:    agent.CodePlanLimit,
		Message: fmt.Sprintf("the plan %s has %d dedicated nodes, and %d are in use", workspace.Plan.Name, limit, len(rows)),
		Fix:     "upgrade with: hks plan upgrade pro",
		Details: map[string]any{"limit": limit, "used": len(rows), "asked": 1, "plan": workspace.Plan.Name},
	}
}

func random() string {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(secret)
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// quoteYAML writes a text as a YAML scalar in double quotes; a command of ours
// has no backslash, double quote or control character in it.
func quoteYAML(text string) string { return `"` + text + `"` }
