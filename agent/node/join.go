package node

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Bounds of a join.
const (
	maxSkew     = 30 * time.Second // between the two clocks: certificates and leases count on it
	joinLife    = 30 * time.Minute // a machine that began has so long to become a node
	clusterLife = 10 * time.Minute // of the cluster's own token
	maxSteps    = 50
	minMemory   = 1 << 30 // bytes; less holds nothing beside the node's own processes
)

// Begin lets a machine use its invitation and tells it what it needs. The same
// machine may begin again, so that a join that broke off can be tried again.
func (m *Manager) Begin(ctx context.Context, secret, host string, request agent.JoinRequest) (agent.JoinPlan, error) {
	row, err := m.invited(ctx, secret)
	if err != nil {
		return agent.JoinPlan{}, err
	}
	if row.Machine != "" && row.Machine != request.Machine {
		return agent.JoinPlan{}, agent.Errorf(agent.CodeForbidden, "make a new one with: hks node add "+row.Name, "this invitation was used by another machine")
	}
	if err := m.fits(request); err != nil {
		return agent.JoinPlan{}, m.refuse(ctx, row.Name, err)
	}
	workspace, err := m.cfg.Workspaces.Current(ctx)
	if err != nil {
		return agent.JoinPlan{}, err
	}
	token, err := m.cfg.Tokens.CreateJoinToken(ctx, clusterLife)
	if err != nil {
		return agent.JoinPlan{}, err
	}
	files, err := m.cfg.Files()
	if err != nil {
		return agent.JoinPlan{}, err
	}
	plan := agent.JoinPlan{
		Node: row.Name, Version: m.cfg.Version, Server: m.cfg.Server(host), Token: token, Files: files,
		Labels: []string{agent.LabelNodePool + "=" + agent.PoolDedicated},
		Taints: []string{agent.TaintDedicated + "=" + workspace.Name + ":NoSchedule"},
	}
	if err := m.cfg.Registry(host, &plan); err != nil {
		return agent.JoinPlan{}, err
	}
	if plan.Disks, err = m.cfg.Disks(row.Name); err != nil {
		return agent.JoinPlan{}, err
	}
	_, err = m.change(ctx, row.Name, func(row *store.Node) error {
		row.Disks = plan.Disks.Certificate
		if row.Machine == "" {
			m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + row.Name, Message: fmt.Sprintf("the machine %s joins as %s", printable(request.Host), row.Name), By: row.By})
		}
		row.Machine, row.Status, row.Message, row.Fix, row.Steps = request.Machine, agent.NodeProvisioning, "joins", "", nil
		row.ExpiresAt = m.cfg.Now().Add(joinLife)
		return nil
	})
	return plan, err
}

// fits refuses a machine that could not be a node.
func (m *Manager) fits(request agent.JoinRequest) error {
	if request.Machine == "" || len(request.Machine) > 128 {
		return agent.Errorf(agent.CodeInvalid, "give it an /etc/machine-id", "the machine does not say which one it is")
	}
	if request.Arch != runtime.GOARCH {
		return agent.Errorf(agent.CodeConflict, "take a machine of the same kind", "the machine is %s, the appliance is %s, and its programs and images don't run there", printable(request.Arch), runtime.GOARCH)
	}
	if skew := request.Clock.Sub(m.cfg.Now()).Abs(); skew > maxSkew {
		return agent.Errorf(agent.CodeConflict, "set the clock of that machine, for example with: timedatectl set-ntp true", "the machine's clock differs by %s, and a node may differ by %s", skew.Round(time.Second), maxSkew)
	}
	if request.Memory < minMemory {
		return agent.Errorf(agent.CodeConflict, "take a machine with at least 1 GiB", "the machine has %d MiB of memory, too little for a node", request.Memory>>20)
	}
	return nil
}

func (m *Manager) refuse(ctx context.Context, name string, reason error) error {
	_, err := m.change(ctx, name, func(row *store.Node) error {
		row.Status, row.Message = agent.NodeFailed, reason.Error()
		if known, ok := reason.(*agent.Error); ok {
			row.Fix = known.Fix
		}
		return nil
	})
	if err != nil {
		return err
	}
	return reason
}

// Invited tells whether a secret lets its bearer fetch files and report.
func (m *Manager) Invited(ctx context.Context, secret string) (string, error) {
	row, err := m.invited(ctx, secret)
	return row.Name, err
}

func (m *Manager) invited(ctx context.Context, secret string) (store.Node, error) {
	dead := agent.Errorf(agent.CodeUnauthorized, "make a new one with: hks node add NAME", "this invitation was used up, has expired or was never made")
	if !strings.HasPrefix(secret, agent.JoinToken) {
		return store.Node{}, dead
	}
	row, ok, err := m.cfg.Store.NodeByToken(ctx, hash(secret))
	switch {
	case err != nil:
		return store.Node{}, err
	case !ok, !m.cfg.Now().Before(row.ExpiresAt), row.Status != agent.NodeProvisioning && row.Status != agent.NodeFailed:
		return store.Node{}, dead
	}
	return row, nil
}

// Report notes a step of a join, as the machine tells it.
func (m *Manager) Report(ctx context.Context, secret string, step agent.NodeStep) error {
	invited, err := m.invited(ctx, secret)
	if err != nil {
		return err
	}
	step.Name, step.Message, step.Fix, step.At = printable(step.Name), printable(step.Message), printable(step.Fix), m.cfg.Now().UTC()
	if step.Name == "" || (step.State != agent.StepRunning && step.State != agent.StepDone && step.State != agent.StepFailed) {
		return agent.Errorf(agent.CodeInvalid, "use the appliance's own installer", "a step needs a name and a state")
	}
	_, err = m.change(ctx, invited.Name, func(row *store.Node) error {
		if last := len(row.Steps) - 1; last >= 0 && row.Steps[last].Name == step.Name {
			row.Steps[last] = step
		} else if len(row.Steps) < maxSteps {
			row.Steps = append(row.Steps, step)
		}
		row.Status, row.Message, row.Fix = agent.NodeProvisioning, step.Name, ""
		if step.State == agent.StepFailed {
			row.Status, row.Message, row.Fix = agent.NodeFailed, step.Name+": "+step.Message, step.Fix
		}
		return nil
	})
	return err
}

// Progress is what the machine may know of its own node.
func (m *Manager) Progress(ctx context.Context, secret string) (agent.Node, error) {
	if !strings.HasPrefix(secret, agent.JoinToken) {
		return agent.Node{}, agent.Errorf(agent.CodeUnauthorized, "", "this needs an invitation")
	}
	row, ok, err := m.cfg.Store.NodeByToken(ctx, hash(secret))
	if err != nil {
		return agent.Node{}, err
	}
	if !ok {
		return agent.Node{}, agent.Errorf(agent.CodeUnauthorized, "", "this invitation was never made, or its node was removed")
	}
	return agent.Node{Name: row.Name, Status: row.Status, Message: row.Message, Fix: row.Fix, Pods: []agent.Placed{}}, nil
}

// printable cuts a text of a machine that nobody vouches for yet.
func printable(text string) string {
	const longest = 500
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
