package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// maxVolumes bounds a component's volumes.
const maxVolumes = 8

// Volumes are the disks that claims get.
type Volumes interface {
	// Room refuses size bytes more where the machine's disk has no room.
	Room(size int64) error
	Mover
}

// Mover brings volumes from one machine to another, by their claims.
type Mover interface {
	Where(ctx context.Context, claims []string) (map[string]string, error)
	PlanMove(ctx context.Context, claims []string, node string) (agent.VolumePlan, error)
	Bring(ctx context.Context, claims []string, node string, stopped bool) (agent.Bring, error)
	Moving(ctx context.Context, claims []string) (bool, error)
	Undo(ctx context.Context, claims []string) (settled bool, err error)
	Confirm(ctx context.Context, claims []string) error
}

func validateVolumes(c agent.Component) error {
	if len(c.Volumes) > maxVolumes {
		return refuse("volumes", len(c.Volumes), fmt.Sprintf("%s has %d volumes, %d are allowed", c.Name, len(c.Volumes), maxVolumes), "put what belongs together on one")
	}
	for i, v := range c.Volumes {
		if err := agent.ValidateName("volume", v.Name); err != nil {
			return err
		}
		if err := agent.ValidateMountPath(v.Path); err != nil {
			return err
		}
		if err := validateQuantity("size", v.Size, "16Mi", "16Ti", "bytes, such as 500Mi or 2Gi"); err != nil {
			return err
		}
		for _, other := range c.Volumes[:i] {
			if other.Name == v.Name || other.Path == v.Path {
				return refuse("volumes", v.Name, fmt.Sprintf("two volumes of %s have the name %s or the path %s", c.Name, v.Name, v.Path), "give each its own")
			}
		}
	}
	return nil
}

// hasVolumes names the first component with a volume; "" for none.
func hasVolumes(spec agent.Spec) string {
	for _, c := range spec.Components {
		if len(c.Volumes) > 0 {
			return c.Name
		}
	}
	return ""
}

// oneInstance refuses several instances that would write to one volume.
func oneInstance(spec agent.Spec, scale map[string]agent.Scale) error {
	for _, c := range spec.Components {
		if n := scale[c.Name].Max; len(c.Volumes) > 0 && n > 1 {
			return refuse("replicas", n, fmt.Sprintf("%s has a volume, so it can't have %d instances: they would write to it at a time", c.Name, n),
				"keep it at 1, or keep its data in a service: hks market list")
		}
	}
	return nil
}

// claimsOf are the names of an app's claims with what they ask for. Two
// components' volumes must not have one name together.
func claimsOf(k key, spec agent.Spec) (map[string]agent.ComponentVolume, error) {
	claims := map[string]agent.ComponentVolume{}
	for _, c := range spec.Components {
		for _, v := range c.Volumes {
			name := agent.ClaimName(k.app, k.env, c.Name, v.Name)
			if _, taken := claims[name]; taken {
				return nil, refuse("volumes", v.Name, fmt.Sprintf("the volume %s of %s has the same name as another: %s", v.Name, c.Name, name), "give it another name")
			}
			claims[name] = v
		}
	}
	return claims, nil
}

// checkVolumes refuses volumes that can't be made, before anything is made:
// smaller than they are, or more than the plan or the disk has. What was asked for in the newest release counts for
// shrinking: a volume that was grown by hand stays as large as it is.
func (m *Manager) checkVolumes(ctx context.Context, k key, ws agent.Workspace, newest agent.Spec, spec agent.Spec, kind string) error {
	if hasVolumes(spec) == "" {
		return nil
	}
	claims, err := claimsOf(k, spec)
	if err != nil {
		return err
	}
	before, err := claimsOf(k, newest)
	if err != nil {
		return err
	}
	there, err := m.claimsThere(ctx, ws.Name, k)
	if err != nil {
		return err
	}
	var more int64
	for name, v := range claims {
		asked := sizeOf(v)
		if was, ok := before[name]; ok && asked < sizeOf(was) && kind != kindRollback {
			return &agent.Error{
				Code: agent.CodeInvalid, Message: fmt.Sprintf("the volume %s has %s and can't shrink to %s", v.Name, bytesOf(float64(sizeOf(was))), bytesOf(float64(asked))),
				Fix:     "keep its size; or give a new, smaller volume another name and copy the data",
				Details: map[string]any{"field": "size", "asked": asked, "has": sizeOf(was)},
			}
		}
		more += max(asked-there[name], 0)
	}
	return m.allowStorage(ws, k.subject(), more)
}

// claimsThere are the sizes of an app's claims in the cluster, in bytes.
func (m *Manager) claimsThere(ctx context.Context, namespace string, k key) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	list, err := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{LabelSelector: k.selector()})
	if err != nil {
		return nil, kube.Explain("looking at the volumes of "+k.subject(), err)
	}
	sizes := map[string]int64{}
	for i := range list.Items {
		sizes[list.Items[i].Name] = list.Items[i].Spec.Resources.Requests.Storage().Value()
	}
	return sizes, nil
}

// allowStorage refuses more bytes than the plan or the machine's disk has.
func (m *Manager) allowStorage(ws agent.Workspace, who string, more int64) error {
	if more <= 0 {
		return nil
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
		text := func(n int64) string { return bytesOf(float64(n)) }
		return &agent.Error{
			Code:    agent.CodeQuotaStorage,
			Message: fmt.Sprintf("%s asks for %s of storage; %s of the %s plan's %s are used", who, text(more), text(used), ws.Plan.Name, text(limit)),
			Fix:     "ask for less or make room (hks volume list shows what is only kept), or take a larger plan: hks plan upgrade pro",
			Details: map[string]any{"used": used, "asked": more, "limit": limit, "plan": ws.Plan.Name},
		}
	}
	if m.cfg.Volumes == nil {
		return nil
	}
	return m.cfg.Volumes.Room(more)
}

// sizedAs are volumes in the sizes that a component has them in already.
func sizedAs(was agent.Component, volumes []agent.ComponentVolume) []agent.ComponentVolume {
	volumes = slices.Clone(volumes)
	for i := range volumes {
		for _, v := range was.Volumes {
			if v.Name == volumes[i].Name {
				volumes[i].Size = v.Size
			}
		}
	}
	return volumes
}

func sizeOf(v agent.ComponentVolume) int64 {
	q := quantity(v.Size, "0")
	return q.Value()
}

// applyClaims makes the claims of a release's volumes before its pods. A claim
// stays as large as it is where a release asks for less, as one does that is
// rolled back to; and one that was only kept is kept no more.
func (w *worker) applyClaims(ctx context.Context, d desired) error {
	if hasVolumes(d.release.Spec) == "" {
		return nil
	}
	there, err := w.m.claimsThere(ctx, d.namespace, d.key)
	if err != nil {
		return err
	}
	claims := w.m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(d.namespace)
	for _, p := range d.parts() {
		for _, v := range p.component.Volumes {
			name := agent.ClaimName(d.key.app, d.key.env, p.component.Name, v.Name)
			size := *resource.NewQuantity(max(sizeOf(v), there[name]), resource.BinarySI)
			claim := coreac.PersistentVolumeClaim(name, d.namespace).WithLabels(p.labels()).
				WithAnnotations(map[string]string{agent.AnnotationKeptUntil: ""}).
				WithSpec(coreac.PersistentVolumeClaimSpec().WithStorageClassName(agent.StorageClass).WithAccessModes(corev1.ReadWriteOnce).
					WithResources(coreac.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: size})))
			if _, err := kube.Apply(ctx, claims, "making the volume "+v.Name+" of "+d.key.subject(), claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// mounts adds the component's volumes to a pod and its container.
func (p part) mounts(pod *coreac.PodSpecApplyConfiguration) {
	for _, v := range p.component.Volumes {
		pod.WithVolumes(coreac.Volume().WithName(v.Name).WithPersistentVolumeClaim(
			coreac.PersistentVolumeClaimVolumeSource().WithClaimName(agent.ClaimName(p.key.app, p.key.env, p.component.Name, v.Name))))
	}
}

// keepClaims begins the grace time of the app's volumes.
func (w *worker) keepClaims(ctx context.Context, namespace string) error {
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	claims := w.m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(namespace)
	list, err := claims.List(asking, metav1.ListOptions{LabelSelector: w.selector()})
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	for i := range list.Items {
		claim := &list.Items[i]
		until, err := time.Parse(time.RFC3339, claim.Annotations[agent.AnnotationKeptUntil])
		if err != nil { // none yet
			until = w.m.cfg.Now().UTC().Add(w.m.cfg.Grace).Truncate(time.Second)
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{agent.AnnotationKeptUntil: until.Format(time.RFC3339)}}})
			if err != nil {
				return fmt.Errorf("%s: %w", doingRemove, err)
			}
			_, err = claims.Patch(asking, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent.FieldManager})
			if err := kube.IgnoreNotFound(kube.Explain(doingRemove, err)); err != nil {
				return err
			}
		}
		kept := fmt.Sprintf("volume/%s until %s (hks volume restore %s)", claim.Name, until.UTC().Format("2006-01-02 15:04 MST"), claim.Name)
		if !slices.Contains(w.deletion.Kept, kept) {
			w.deletion.Kept = append(w.deletion.Kept, kept)
		}
	}
	return nil
}
