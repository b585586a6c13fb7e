package app

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// kindMove is a release whose instances run elsewhere than those of the one
// before; all else is the same.
const kindMove = "move"

// Nodes tells the machines that an app can be placed on.
type Nodes interface {
	List(ctx context.Context) ([]agent.Node, error)
}

// Move accepts a release that is the serving one in another place. It is
// rolled out as every release: new instances are ready and in the route before
// the old ones drain, and when they don't get ready the old ones stay.
func (m *Manager) Move(ctx context.Context, app string, env agent.Environment, to, by string) (agent.Release, error) {
	k, state, serving, err := m.movable(ctx, app, env)
	if err != nil {
		return agent.Release{}, err
	}
	plan, err := m.planMove(ctx, k, state, serving.Spec, to)
	if err != nil {
		return agent.Release{}, err
	}
	if plan.From == plan.To {
		return agent.Release{}, agent.Errorf(agent.CodeConflict, "", "%s runs there already: %s", k.subject(), plan.To)
	}
	if !plan.Fits {
		return agent.Release{}, agent.Errorf(agent.CodeQuota, "free some room there, or take a larger machine", "%s does not fit: %s", k.subject(), plan.Reason)
	}
	spec := serving.Spec
	spec.Place = placeOf(plan.To)
	return m.request(ctx, k, state, store.AppRelease{
		Release: agent.Release{Spec: spec, Kind: kindMove, From: serving.Number, By: by}, Images: byDigest(serving),
	}, nil)
}

// PlanMove tells what a move would do, and does nothing.
func (m *Manager) PlanMove(ctx context.Context, app string, env agent.Environment, to string) (agent.MovePlan, error) {
	k, state, serving, err := m.movable(ctx, app, env)
	if err != nil {
		return agent.MovePlan{}, err
	}
	return m.planMove(ctx, k, state, serving.Spec, to)
}

// movable finds the release that serves and can be brought elsewhere exactly.
func (m *Manager) movable(ctx context.Context, app string, env agent.Environment) (key, store.AppState, store.AppRelease, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return key{}, store.AppState{}, store.AppRelease{}, err
	}
	if state.Serving == 0 {
		return key{}, store.AppState{}, store.AppRelease{}, neverServed(k, state)
	}
	serving, ok, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Serving)
	if err == nil && !ok {
		err = absent(k)
	}
	if err == nil {
		err = known(k, serving)
	}
	return k, state, serving, err
}

// planMove is PlanPlace for an app.
func (m *Manager) planMove(ctx context.Context, k key, state store.AppState, spec agent.Spec, to string) (agent.MovePlan, error) {
	return m.PlanPlace(ctx, spec.Place, to, m.needs(state, spec), claimNames(k, spec))
}

// PlanPlace holds what something asks for against what the nodes of a place
// have, and looks what its volumes would take.
func (m *Manager) PlanPlace(ctx context.Context, from, to string, needs agent.Amounts, claims []string) (agent.MovePlan, error) {
	plan := agent.MovePlan{From: wordOf(from), To: wordOf(to), Needs: needs, Nodes: []string{}, Expected: []string{
		"new instances start there and get ready", "the gateway sends requests to them", "the old instances finish what they have in hand, and end",
	}}
	nodes, err := m.nodesOf(ctx, plan.To)
	if err != nil {
		return agent.MovePlan{}, err
	}
	for _, node := range nodes {
		if node.Status != agent.NodeReady || node.Cordoned {
			plan.Reason = fmt.Sprintf("%s is %s", node.Name, node.Status)
			continue
		}
		plan.Nodes = append(plan.Nodes, node.Name)
		free := agent.Amounts{CPU: node.CPU.Allocatable - node.CPU.Requested, Memory: node.Memory.Allocatable - node.Memory.Requested}
		if plan.Free == (agent.Amounts{}) || free.Memory > plan.Free.Memory {
			plan.Free = free
		}
	}
	plan.Fits = len(plan.Nodes) > 0 && plan.Free.CPU >= plan.Needs.CPU && plan.Free.Memory >= plan.Needs.Memory
	if !plan.Fits && len(plan.Nodes) > 0 {
		plan.Reason = fmt.Sprintf("its instances ask for %d millicores and %d MiB, and the roomiest node has %d millicores and %d MiB free; a machine with %d MiB more would do",
			plan.Needs.CPU, plan.Needs.Memory>>20, plan.Free.CPU, plan.Free.Memory>>20, max(plan.Needs.Memory-plan.Free.Memory, 0)>>20)
	}
	if plan.Fits && plan.From != plan.To {
		err = m.planVolumes(ctx, claims, &plan)
	}
	return plan, err
}

// nodesOf lists the nodes of a place; one that is not there is told at once.
func (m *Manager) nodesOf(ctx context.Context, place string) ([]agent.Node, error) {
	if m.cfg.Nodes == nil {
		return nil, agent.Errorf(agent.CodeConflict, "", "this appliance has no further nodes")
	}
	all, err := m.cfg.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []agent.Node
	for _, node := range all {
		if node.Pool == place || (node.Name == place && node.Pool == agent.PoolDedicated) {
			nodes = append(nodes, node)
		}
	}
	if len(nodes) == 0 {
		if place == agent.PoolDedicated {
			return nil, agent.Errorf(agent.CodeNotFound, "let a machine join with: hks node add NAME", "there is no dedicated node")
		}
		return nil, agent.Errorf(agent.CodeNotFound, "choose shared, dedicated, or the name of a dedicated node; hks node list shows them", "there is no place %q", place)
	}
	return nodes, nil
}

// checkPlace refuses a release for a place that is gone.
func (m *Manager) checkPlace(ctx context.Context, place string) error {
	if place == "" {
		return nil
	}
	_, err := m.nodesOf(ctx, place)
	return err
}

// needs is what all instances ask for at a time, while they are replaced; of
// those that follow the load, as many as there are now.
func (m *Manager) needs(state store.AppState, spec agent.Spec) agent.Amounts {
	var v views
	if w := m.current(); w.ready() {
		v = w.view(key{state.Name, state.Environment})
	}
	var sum agent.Amounts
	for _, c := range spec.Components {
		_, requests := resources(c)
		n := int64(v.of(c.Name).replicas(state.Replicas(c.Name)))
		sum.CPU += n * requests.Cpu().MilliValue()
		sum.Memory += n * requests.Memory().Value()
	}
	return sum
}

// wordOf is a place as people call it, placeOf as a release keeps it.
func wordOf(place string) string {
	if place == "" {
		return agent.PoolShared
	}
	return place
}

func placeOf(word string) string {
	if word == agent.PoolShared {
		return ""
	}
	return word
}

// placed puts a pod where its release wants it.
func (d desired) placed(pod *coreac.PodSpecApplyConfiguration) *coreac.PodSpecApplyConfiguration {
	place := d.release.Spec.Place
	if place == "" {
		return pod
	}
	selector := map[string]string{agent.LabelNodePool: agent.PoolDedicated}
	if !slices.Contains([]string{agent.PoolShared, agent.PoolDedicated}, place) {
		selector[corev1.LabelHostname] = place
	}
	return pod.WithNodeSelector(selector).WithTolerations(coreac.Toleration().
		WithKey(agent.TaintDedicated).WithOperator(corev1.TolerationOpEqual).WithValue(d.namespace).WithEffect(corev1.TaintEffectNoSchedule))
}

// Evacuate moves the apps back to the shared pool that could not run without a
// node: those placed on it by name, and with last, which says that no other
// dedicated node is left, all that are on dedicated nodes. It returns those
// that are still on their way.
func (m *Manager) Evacuate(ctx context.Context, node string, last bool, by string) ([]string, error) {
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return nil, err
	}
	var moving []string
	for _, state := range states {
		place := state.Newest.Spec.Place
		bound := place == node || (last && place == agent.PoolDedicated)
		subject := key{state.Name, state.Environment}.subject()
		switch {
		case state.Desired == store.DesiredDeleted:
		case !state.Newest.Status.Done():
			if bound || state.Current.Spec.Place == node || (last && state.Current.Spec.Place == agent.PoolDedicated) {
				moving = append(moving, subject)
			}
		case !bound && state.Current.Spec.Place != node && (!last || state.Current.Spec.Place != agent.PoolDedicated):
		case state.Serving == 0:
		default:
			if _, err := m.Move(ctx, state.Name, state.Environment, agent.PoolShared, by); err != nil {
				return nil, fmt.Errorf("moving %s back to the shared pool: %w", subject, err)
			}
			moving = append(moving, subject)
		}
	}
	return moving, nil
}
