package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Bounds of a move.
const (
	moveLook  = 500 * time.Millisecond
	stopLimit = 2 * time.Minute // for the instance to end
	stuckFor  = 2 * time.Minute // without a step further
	undoWhole = 5 * time.Minute
)

// moveArgs is where a service goes.
type moveArgs struct {
	Place string `json:"place"` // see store.Service
}

// Move accepts a service's way to another place. Everything is checked first.
func (m *Manager) Move(ctx context.Context, name, to, by string) (agent.ServiceJob, error) {
	m.accepting.Lock()
	defer m.accepting.Unlock()
	plan, err := m.PlanMove(ctx, name, to)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	if plan.From == plan.To {
		return agent.ServiceJob{}, agent.Errorf(agent.CodeConflict, "", "%s runs there already: %s", name, plan.To)
	}
	if !plan.Fits {
		return agent.ServiceJob{}, agent.Errorf(agent.CodeQuota, "free some room there, or take a larger machine", "%s does not fit: %s", name, plan.Reason)
	}
	if to == agent.PoolShared {
		to = ""
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindMove, By: by}, moveArgs{Place: to}, agent.ServiceUpdating)
}

// PlanMove tells what a move would do, and does nothing.
func (m *Manager) PlanMove(ctx context.Context, name, to string) (agent.MovePlan, error) {
	s, err := m.installed(ctx, name)
	if err != nil {
		return agent.MovePlan{}, err
	}
	if s.Archive != "" || m.cfg.Places == nil {
		return agent.MovePlan{}, agent.Errorf(agent.CodeConflict, "place it by the chart's own values", "%s is of a chart of your own, and only that knows how its instances are placed", name)
	}
	needs, err := m.needs(ctx, name)
	if err != nil {
		return agent.MovePlan{}, err
	}
	return m.cfg.Places.PlanPlace(ctx, s.Place, to, needs, []string{ClaimName(name)})
}

// needs is what the instance of a service asks for.
func (m *Manager) needs(ctx context.Context, name string) (agent.Amounts, error) {
	namespace, err := m.namespace(ctx)
	if err != nil {
		return agent.Amounts{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	set, err := m.cfg.Cluster.Interface().AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return agent.Amounts{}, kube.Explain("looking at "+name, err)
	}
	var sum agent.Amounts
	for _, c := range set.Spec.Template.Spec.Containers {
		sum.CPU += c.Resources.Requests.Cpu().MilliValue()
		sum.Memory += c.Resources.Requests.Memory().Value()
	}
	return sum, nil
}

// placement is what an instance of a place is placed by; nothing for the
// shared pool. The workspace of the taint is whichever it is: no node of
// another's is in the cluster.
func placement(place string) (selector map[string]any, tolerations []any) {
	if place == "" {
		return nil, nil
	}
	selector = map[string]any{agent.LabelNodePool: agent.PoolDedicated}
	if place != agent.PoolDedicated {
		selector[corev1.LabelHostname] = place
	}
	return selector, []any{map[string]any{"key": agent.TaintDedicated, "operator": "Exists", "effect": "NoSchedule"}}
}

// moveTo brings a service with its data to its new place: copied while it runs,
// then ended, the rest copied and compared, started there. What does not get
// ready is brought back to the data it came from.
func (w *worker) moveTo(ctx context.Context, s store.Service) error {
	var args moveArgs
	if err := w.cfg.Store.ServiceJobArgs(ctx, w.job.ID, &args); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	if _, err := w.cfg.Helm.Recover(ctx, namespace, s.Name); err != nil {
		return err
	}
	if s.Place != args.Place {
		if err := w.carry(ctx, namespace, s.Name, args.Place); err != nil {
			return w.takeBack(ctx, namespace, s, err)
		}
		// From here on it is there: should the agent end now, it stays.
		if err := w.cfg.Store.PlaceService(ctx, s.Name, args.Place); err != nil {
			return err
		}
		s.Place = args.Place
	}
	if err := w.cfg.Volumes.Confirm(ctx, []string{ClaimName(s.Name)}); err != nil {
		return err
	}
	chart, err := w.catalogue.of(s)
	if err != nil {
		return err
	}
	if err := w.cfg.Helm.Upgrade(ctx, helm.Release{Namespace: namespace, Name: s.Name, Chart: chart, Values: values(s)}); err != nil {
		return w.withReason(ctx, namespace, s.Name, err)
	}
	return w.step(ctx, "%s is ready; the data it came from stays for a while (hks volume list)", s.Name)
}

// carry brings the data to the place, and the instance to the data.
func (w *worker) carry(ctx context.Context, namespace, name, place string) error {
	node, err := w.cfg.Places.VolumeNode(ctx, []string{ClaimName(name)}, wordOf(place))
	if err != nil {
		return err
	}
	var stopped time.Time
	if node != "" {
		if err := w.step(ctx, "copying its data to %s while it runs", node); err != nil {
			return err
		}
		is, err := w.bring(ctx, name, node, false)
		if err != nil {
			return err
		}
		if !is.Done {
			stopped = w.cfg.Now()
			if err := w.step(ctx, "it ends, for the last of the copy and the comparison"); err != nil {
				return err
			}
			if err := w.stopInstance(ctx, namespace, name); err != nil {
				return err
			}
			if _, err := w.bring(ctx, name, node, true); err != nil {
				return err
			}
			if err := w.step(ctx, "the copy is the same as its data, byte by byte"); err != nil {
				return err
			}
		}
	}
	if err := w.runAt(ctx, namespace, name, place); err != nil {
		return err
	}
	if _, err := w.awaitReady(ctx, namespace, selectorOf(name), w.cfg.Ready); err != nil {
		return err
	}
	if stopped.IsZero() {
		return w.step(ctx, "it is ready there")
	}
	return w.step(ctx, "it is ready there, after a pause of %s", w.cfg.Now().Sub(stopped).Round(time.Second))
}

// bring waits until the data can be switched, or with stopped until it is there.
func (w *worker) bring(ctx context.Context, name, node string, stopped bool) (agent.Bring, error) {
	further := w.cfg.Now()
	var copied int64
	for {
		is, err := w.cfg.Volumes.Bring(ctx, []string{ClaimName(name)}, node, stopped)
		if err != nil || is.Done || (is.Stop && !stopped) {
			return is, err
		}
		if is.Message == "" || is.Copied != copied {
			further, copied = w.cfg.Now(), is.Copied
		}
		if w.cfg.Now().Sub(further) > stuckFor {
			return is, agent.Errorf(agent.CodeRollout, "see hks volume list", "its data did not get to %s: %s", node, is.Message)
		}
		if err := pause(ctx); err != nil {
			return is, err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(moveLook):
		return nil
	}
}

// stopInstance ends the instance and waits until it is gone.
func (w *worker) stopInstance(ctx context.Context, namespace, name string) error {
	if err := w.patchSet(ctx, namespace, name, map[string]any{"replicas": 0}); err != nil {
		return err
	}
	until := w.cfg.Now().Add(stopLimit)
	for {
		pods, err := w.pods(ctx, namespace, selectorOf(name))
		if err != nil {
			return err
		}
		if !holdsVolume(pods, ClaimName(name)) {
			return nil
		}
		if w.cfg.Now().After(until) {
			return agent.Errorf(agent.CodeRollout, "see hks market show "+name, "the instance of %s did not end within %s", name, stopLimit)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func holdsVolume(pods []corev1.Pod, claim string) bool {
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, v := range pod.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
				return true
			}
		}
	}
	return false
}

// runAt starts the instance at a place.
func (w *worker) runAt(ctx context.Context, namespace, name, place string) error {
	pod := map[string]any{"nodeSelector": nil, "tolerations": nil}
	if selector, tolerations := placement(place); selector != nil {
		pod["nodeSelector"], pod["tolerations"] = selector, tolerations
		if _, named := selector[corev1.LabelHostname]; !named {
			selector[corev1.LabelHostname] = nil // of a place it had before
		}
	}
	return w.patchSet(ctx, namespace, name, map[string]any{"replicas": 1, "template": map[string]any{"spec": pod}})
}

func (w *worker) patchSet(ctx context.Context, namespace, name string, spec map[string]any) error {
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return fmt.Errorf("placing %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err = w.cfg.Cluster.Interface().AppsV1().StatefulSets(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent.FieldManager})
	return kube.Explain("placing "+name, err)
}

// takeBack starts a service again where it was, with the data it had there.
func (w *worker) takeBack(ctx context.Context, namespace string, s store.Service, cause error) error {
	if code := agent.CodeOf(cause); code == agent.CodeClusterAway || ctx.Err() != nil {
		return cause // it is tried again, from where it stands
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWhole)
	defer cancel()
	if err := w.step(ctx, "it does not go on: %s; the service is brought back to where it was", cause); err != nil {
		return errors.Join(cause, err)
	}
	back := func() error {
		if err := w.stopInstance(ctx, namespace, s.Name); err != nil {
			return err
		}
		for {
			settled, err := w.cfg.Volumes.Undo(ctx, []string{ClaimName(s.Name)})
			if err != nil {
				return err
			}
			if settled {
				break
			}
			if err := pause(ctx); err != nil {
				return err
			}
		}
		if err := w.runAt(ctx, namespace, s.Name, s.Place); err != nil {
			return err
		}
		_, err := w.awaitReady(ctx, namespace, selectorOf(s.Name), w.cfg.Ready)
		return err
	}
	if err := back(); err != nil {
		return errors.Join(cause, fmt.Errorf("bringing %s back: %w", s.Name, err))
	}
	return cause
}

func wordOf(place string) string {
	if place == "" {
		return agent.PoolShared
	}
	return place
}

// Evacuate moves the services back to the shared pool that could not run
// without a node; see the same of apps. It returns those on their way.
func (m *Manager) Evacuate(ctx context.Context, node string, last bool, by string) ([]string, error) {
	services, err := m.cfg.Store.Services(ctx)
	if err != nil {
		return nil, err
	}
	var moving []string
	for _, listed := range services {
		s, ok, err := m.cfg.Store.Service(ctx, listed.Name)
		if err != nil {
			return nil, err
		}
		if !ok || s.Status == agent.ServiceRemoved || (s.Place != node && (!last || s.Place != agent.PoolDedicated)) {
			continue
		}
		if s.Status == agent.ServiceRunning {
			if _, err := m.Move(ctx, s.Name, agent.PoolShared, by); err != nil {
				return nil, fmt.Errorf("moving %s back to the shared pool: %w", s.Name, err)
			}
		}
		moving = append(moving, s.Name)
	}
	return moving, nil
}
