package double

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/node"
)

// nodes are one machine, and those that are invited: their joins go on by
// themselves, a step a second.
type nodes struct {
	speed float64

	mu      sync.Mutex // guards invited
	invited map[string]time.Time
}

var joinSteps = []string{"asks the appliance", "checks the machine", "fetches hks-agent", "fetches k3s", "places programs and images", "starts the node"}

func (n *nodes) List(ctx context.Context) ([]agent.Node, error) {
	own := agent.Node{
		Name: "hks", Own: true, Pool: agent.PoolShared, Status: agent.NodeReady, Address: "192.0.2.10", Version: "v1.36.3+k3s1", LastHeard: time.Now(),
		CPU: agent.Capacity{Allocatable: 4000, Requested: 1200}, Memory: agent.Capacity{Allocatable: 8 << 30, Requested: 3 << 30},
		Pods: []agent.Placed{{Name: "blog-staging-1", App: "blog", Environment: agent.Staging, Ready: true}},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []agent.Node{own}
	for name, at := range n.invited {
		list = append(list, n.joining(name, at))
	}
	return list, nil
}

func (n *nodes) joining(name string, at time.Time) agent.Node {
	found := agent.Node{Name: name, Pool: agent.PoolDedicated, Status: agent.NodeProvisioning, Message: "joins", CreatedAt: at, Pods: []agent.Placed{}}
	done := int(time.Since(at).Seconds() * n.speed)
	for i, step := range joinSteps[:min(done, len(joinSteps))] {
		found.Steps = append(found.Steps, agent.NodeStep{Name: step, State: agent.StepDone, At: at.Add(time.Duration(i) * time.Second)})
	}
	if done > len(joinSteps) {
		found.Status, found.Message, found.Address = agent.NodeReady, "", "192.0.2.11"
		found.CPU, found.Memory, found.LastHeard = agent.Capacity{Allocatable: 2000}, agent.Capacity{Allocatable: 4 << 30}, time.Now()
	}
	return found
}

func (n *nodes) Show(ctx context.Context, name string) (agent.Node, error) {
	all, err := n.List(ctx)
	for _, found := range all {
		if found.Name == name {
			return found, nil
		}
	}
	return agent.Node{}, orMissing(err, name)
}

func orMissing(err error, name string) error {
	if err != nil {
		return err
	}
	return agent.Errorf(agent.CodeNotFound, "list them with: hks node list", "there is no node %q", name)
}

func (n *nodes) Invite(ctx context.Context, name, _ string, at node.Place) (agent.Node, error) {
	if err := agent.ValidateName("node", name); err != nil {
		return agent.Node{}, err
	}
	n.mu.Lock()
	n.invited[name] = time.Now()
	n.mu.Unlock()
	found, err := n.Show(ctx, name)
	found.Invite = &agent.NodeInvite{Command: "curl -fsSk --pinnedpubkey 'sha256//" + at.Pin + "' " + at.URL + "/join.sh | HKS_JOIN=hksj_made-up sh", ExpiresAt: time.Now().Add(10 * time.Minute)}
	return found, err
}

func (n *nodes) Drain(ctx context.Context, name, _ string) (agent.Node, error) {
	return n.Show(ctx, name)
}
func (n *nodes) Resume(ctx context.Context, name, _ string) (agent.Node, error) {
	return n.Show(ctx, name)
}

func (n *nodes) Remove(ctx context.Context, name, _ string) (agent.Node, error) {
	found, err := n.Show(ctx, name)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.invited, name)
	found.Status = agent.NodeRemoving
	return found, err
}

// joins lets nobody in: no machine is ever there.
type joins struct{}

var errNoInvitation = agent.Errorf(agent.CodeUnauthorized, "", "this invitation was never made")

func (joins) Progress(context.Context, string) (agent.Node, error) {
	return agent.Node{}, errNoInvitation
}
func (joins) Invited(context.Context, string) (string, error) { return "", errNoInvitation }
func (joins) Begin(context.Context, string, string, agent.JoinRequest) (agent.JoinPlan, error) {
	return agent.JoinPlan{}, errNoInvitation
}
func (joins) Report(context.Context, string, agent.NodeStep) error { return errNoInvitation }
func (joins) Files() ([]agent.JoinFile, error)                     { return nil, nil }
func (joins) Open(string) (io.ReadSeekCloser, error)               { return nopCloser{bytes.NewReader(nil)}, nil }

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
