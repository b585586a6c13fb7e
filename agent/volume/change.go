package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Room refuses size bytes more of volumes where the machine's disk has no room
// for them.
func (m *Manager) Room(size int64) error { return m.cfg.Disks.Room(size) }

// Resize asks for a larger volume; it grows while it is in use. Everything is
// checked first.
func (m *Manager) Resize(ctx context.Context, name, size, by string) (agent.Volume, error) {
	bytes, err := parseSize(size)
	if err != nil {
		return agent.Volume{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	view, err := m.find(ctx, name)
	if err != nil {
		return agent.Volume{}, err
	}
	has := max(view.SizeBytes, view.AskedSize)
	switch {
	case view.Service != "":
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, fmt.Sprintf("grow it there: hks market upgrade %s --set storage=%s", view.Service, size), "%s belongs to the service %s, whose settings say how large it is", view.Name, view.Service)
	case view.Class != agent.StorageClass:
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "copy its data into a new volume", "%s is of the class %s, whose volumes can't grow", view.Name, view.Class)
	case view.Status != agent.VolumeReady && view.Status != agent.VolumeGrowing:
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "see hks volume show "+view.Name, "%s can't grow now: it is %s", view.Name, view.Status)
	case bytes < has:
		return agent.Volume{}, &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("the volume %s has %s and can't shrink to %s", view.Name, sizeText(has), sizeText(bytes)),
			Fix: "keep its size, or copy its data into a new, smaller volume", Details: map[string]any{"field": "size", "asked": bytes, "has": has},
		}
	case bytes == has:
		return view, nil
	}
	if err := m.allow(ctx, view.Name, bytes-has); err != nil {
		return agent.Volume{}, err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": size}}}})
	if err != nil {
		return agent.Volume{}, fmt.Errorf("growing %s: %w", view.Name, err)
	}
	if err := m.patch(ctx, view.Name, "growing "+view.Name, patch); err != nil {
		return agent.Volume{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + view.Name, Message: fmt.Sprintf("the volume %s is to have %s, it has %s", view.Name, sizeText(bytes), sizeText(has)), By: by})
	if v, ok, err := m.cfg.Ledger.Volume(ctx, view.ID); err != nil {
		return agent.Volume{}, err
	} else if ok {
		v.Asked, v.Status, v.Message = bytes, agent.VolumeGrowing, ""
		if err := m.put(ctx, v); err != nil {
			return agent.Volume{}, err
		}
	}
	m.nudge()
	return m.find(ctx, view.ID)
}

// parseSize reads a size as people write it.
func parseSize(text string) (int64, error) {
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Sign() <= 0 || quantity.Value() < 16<<20 || quantity.Value() > 1<<50 {
		return 0, &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("%.40q is not the size of a volume", text), Fix: "give bytes, such as 500Mi or 2Gi; 16Mi is the least",
			Details: map[string]any{"field": "size", "value": text},
		}
	}
	return quantity.Value(), nil
}

// allow refuses more bytes than the plan or the machine's disk has.
func (m *Manager) allow(ctx context.Context, name string, more int64) error {
	ws, err := m.cfg.Workspace.Current(ctx)
	if err != nil {
		return err
	}
	used, limit := int64(0), ws.Plan.StorageBytes
	for _, r := range ws.Resources {
		if r.Name == "storage" {
			used = int64(r.Used)
			if r.Limit > 0 {
				limit = int64(r.Limit)
			}
		}
	}
	if limit != agent.Unlimited && used+more > limit {
		return &agent.Error{
			Code:    agent.CodeQuotaStorage,
			Message: fmt.Sprintf("%s asks for %s more of storage; %s of the %s plan's %s are used", name, sizeText(more), sizeText(used), ws.Plan.Name, sizeText(limit)),
			Fix:     "make room (hks volume list shows what is only kept), or take a larger plan: hks plan upgrade pro",
			Details: map[string]any{"used": used, "asked": more, "limit": limit, "plan": ws.Plan.Name},
		}
	}
	return m.cfg.Disks.Room(more)
}

// Delete lets go of a volume that nobody uses: after the grace time, or now.
func (m *Manager) Delete(ctx context.Context, name string, now bool, by string) (agent.Volume, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	view, err := m.find(ctx, name)
	if err != nil {
		return agent.Volume{}, err
	}
	switch {
	case view.Service != "" && m.claimed(view):
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "let go of it with its backups: hks market uninstall "+view.Service+" --purge", "%s belongs to the service %s", view.Name, view.Service)
	case view.Status == agent.VolumeKept && !now:
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "delete it now, for good: hks volume delete "+view.ID+" --now", "%s goes by itself at %s", view.Name, view.KeptUntil.Format("2006-01-02 15:04 MST"))
	case view.Status == agent.VolumeDeleting:
		return view, nil
	}
	if m.watch.ready() && m.claimed(view) {
		if user, err := m.user(ctx, view.Name); err != nil {
			return agent.Volume{}, err
		} else if user != "" {
			return agent.Volume{}, agent.Errorf(agent.CodeConflict, "take it out of that first, or delete that", "%s is in use by %s", view.Name, user)
		}
		if !now {
			return m.keepClaim(ctx, view, by)
		}
		if err := m.discard(ctx, m.watch.namespace, view.Name); err != nil {
			return agent.Volume{}, err
		}
	} else if v, ok, err := m.cfg.Ledger.Volume(ctx, view.ID); err != nil {
		return agent.Volume{}, err
	} else if ok {
		v.Status = agent.VolumeDeleting
		if err := m.put(ctx, v); err != nil {
			return agent.Volume{}, err
		}
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + view.Name, Message: "the volume " + view.Name + " is deleted", By: by})
	m.nudge()
	view.Status, view.KeptUntil = agent.VolumeDeleting, time.Time{}
	return view, nil
}

// keepClaim begins the grace time of a claim.
func (m *Manager) keepClaim(ctx context.Context, view agent.Volume, by string) (agent.Volume, error) {
	until := m.cfg.Now().UTC().Add(m.cfg.Grace).Truncate(time.Second)
	if err := m.mark(ctx, view.Name, until.Format(time.RFC3339)); err != nil {
		return agent.Volume{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + view.Name, Message: fmt.Sprintf("the volume %s stays until %s and goes then", view.Name, until.Format("2006-01-02 15:04 MST")), By: by})
	view.Status, view.KeptUntil = agent.VolumeKept, until
	return view, nil
}

// Restore takes a kept volume back: it goes no more, and a claim of its old
// name has it, so that an app which is deployed again finds its data.
func (m *Manager) Restore(ctx context.Context, name, by string) (agent.Volume, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	view, err := m.find(ctx, name)
	if err != nil {
		return agent.Volume{}, err
	}
	if view.Status != agent.VolumeKept {
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "hks volume list shows what is kept", "%s is %s, so there is nothing to restore", view.Name, view.Status)
	}
	if !m.watch.ready() {
		return agent.Volume{}, agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	said := agent.Activity{Level: "info", Subject: "volume/" + view.Name, Message: "the volume " + view.Name + " is restored", By: by}
	if m.claimed(view) {
		if view.Service != "" {
			return agent.Volume{}, agent.Errorf(agent.CodeConflict, "install the service again under its name: hks market install CHART "+view.Service, "%s belongs to the removed service %s", view.Name, view.Service)
		}
		if err := m.mark(ctx, view.Name, ""); err != nil {
			return agent.Volume{}, err
		}
		m.cfg.Record(ctx, said)
		view.Status, view.KeptUntil = agent.VolumeReady, time.Time{}
		return view, nil
	}
	if m.watch.claim(view.Name) != nil {
		return agent.Volume{}, agent.Errorf(agent.CodeConflict, "delete that one first: hks volume delete "+view.Name+" --now", "there is another volume called %s now", view.Name)
	}
	if err := m.allow(ctx, view.Name, view.SizeBytes); err != nil {
		return agent.Volume{}, err
	}
	v, ok, err := m.cfg.Ledger.Volume(ctx, view.ID)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks volume list shows what there is", "the volume %s is gone", view.Name)
	}
	if err != nil {
		return agent.Volume{}, err
	}
	v.Status, v.KeptUntil = agent.VolumeRestoring, time.Time{}
	if err := m.put(ctx, v); err != nil {
		return agent.Volume{}, err
	}
	m.cfg.Record(ctx, said)
	m.nudge()
	return m.viewOf(v), nil
}

// Discard deletes a claim and its volume without a grace time: for owners who
// said so. A claim that is not there is fine.
func (m *Manager) Discard(ctx context.Context, namespace, claim string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.discard(ctx, namespace, claim)
}

func (m *Manager) discard(ctx context.Context, namespace, name string) error {
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	claims := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(namespace)
	claim, err := claims.Get(asking, name, metav1.GetOptions{})
	if err := kube.Explain("looking at the volume "+name, err); agent.CodeOf(err) == agent.CodeNotFound {
		return nil
	} else if err != nil {
		return err
	}
	for _, id := range []string{claim.Spec.VolumeName, "pvc-" + string(claim.UID)} {
		v, ok, err := m.cfg.Ledger.Volume(ctx, id)
		if err != nil {
			return err
		}
		if ok {
			v.Purge = true
			if err := m.put(ctx, v); err != nil {
				return err
			}
		}
	}
	m.nudge()
	return kube.Delete(ctx, claims, "deleting the volume "+name, name)
}

// sweepClaims lets go of the claims of deleted apps whose grace time is over.
// Those of services are the marketplace's.
func (m *Manager) sweepClaims(ctx context.Context) error {
	claims, err := m.watch.all()
	if err != nil {
		return err
	}
	var failed []error
	for _, claim := range claims {
		until := keptUntil(claim)
		if until.IsZero() || m.cfg.Now().Before(until) || claim.DeletionTimestamp != nil {
			continue
		}
		user, err := m.user(ctx, claim.Name)
		if err == nil && user == "" {
			m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + claim.Name, Message: "the volume " + claim.Name + " is deleted: its grace time is over"})
			err = m.discard(ctx, claim.Namespace, claim.Name)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// user names what in the workspace has a claim in its pods; "" for nothing.
func (m *Manager) user(ctx context.Context, claim string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	set, namespace, doing := m.cfg.Cluster.Interface(), m.watch.namespace, "looking who uses "+claim
	has := func(spec corev1.PodSpec) bool {
		for _, v := range spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
				return true
			}
		}
		return false
	}
	deployments, err := set.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", kube.Explain(doing, err)
	}
	for i := range deployments.Items {
		if d := &deployments.Items[i]; has(d.Spec.Template.Spec) {
			return d.Name, nil
		}
	}
	sets, err := set.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", kube.Explain(doing, err)
	}
	for i := range sets.Items {
		if s := &sets.Items[i]; has(s.Spec.Template.Spec) {
			return s.Name, nil
		}
	}
	pods, err := set.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", kube.Explain(doing, err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; has(p.Spec) && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return "the instance " + p.Name, nil
		}
	}
	return "", nil
}

// mark sets until when a claim stays; "" takes that away.
func (m *Manager) mark(ctx context.Context, claim, until string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{agent.AnnotationKeptUntil: until}}})
	if err != nil {
		return fmt.Errorf("marking the volume %s: %w", claim, err)
	}
	return m.patch(ctx, claim, "marking the volume "+claim, patch)
}

func (m *Manager) patch(ctx context.Context, claim, doing string, patch []byte) error {
	if m.watch == nil {
		return agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(m.watch.namespace).
		Patch(ctx, claim, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent.FieldManager})
	return kube.Explain(doing, err)
}

var _ Ledger = (*store.Store)(nil)
