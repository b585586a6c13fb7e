package volume

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// provisionedBy tells Kubernetes whose a PersistentVolume is, so that it leaves
// deleting it to us.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

func bytesOf(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.BinarySI) }

// apply makes the PersistentVolume, meant for its claim alone.
func (m *Manager) apply(ctx context.Context, disks Disks, v store.Volume) error {
	claim := coreac.ObjectReference().WithKind("PersistentVolumeClaim").WithAPIVersion("v1").WithNamespace(v.Namespace).WithName(v.Claim)
	if v.UID != "" {
		claim.WithUID(types.UID(v.UID))
	}
	here := coreac.NodeSelectorRequirement().WithKey(corev1.LabelHostname).WithOperator(corev1.NodeSelectorOpIn).WithValues(m.nodeOf(v.Node))
	pv := coreac.PersistentVolume(v.ID).
		WithLabels(map[string]string{agent.LabelManagedBy: agent.ManagedBy, agent.LabelPartOf: v.Namespace}).
		WithAnnotations(map[string]string{provisionedBy: agent.VolumeProvisioner}).
		WithSpec(coreac.PersistentVolumeSpec().
			WithStorageClassName(agent.StorageClass).
			WithCapacity(corev1.ResourceList{corev1.ResourceStorage: bytesOf(v.Size)}).
			WithAccessModes(corev1.ReadWriteOnce).
			WithPersistentVolumeReclaimPolicy(corev1.PersistentVolumeReclaimDelete).
			WithVolumeMode(corev1.PersistentVolumeFilesystem).
			WithClaimRef(claim).
			WithLocal(coreac.LocalVolumeSource().WithPath(disks.Data(v.ID))).
			WithNodeAffinity(coreac.VolumeNodeAffinity().WithRequired(coreac.NodeSelector().
				WithNodeSelectorTerms(coreac.NodeSelectorTerm().WithMatchExpressions(here)))))
	_, err := kube.Apply(ctx, m.cfg.Cluster.Interface().CoreV1().PersistentVolumes(), "making the volume of "+v.Claim, pv)
	return err
}

// makeClaim makes the claim of a restored volume, as whoever had it labelled it.
// It is made and not applied: a release that applies it later names no volume,
// and would take the name away.
func (m *Manager) makeClaim(ctx context.Context, v store.Volume) error {
	move, _, err := m.cfg.Ledger.VolumeMove(ctx, v.Namespace, v.Claim)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	doing, class := "restoring the claim "+v.Claim, agent.StorageClass
	claims := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(v.Namespace)
	_, err = claims.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: v.Claim, Namespace: v.Namespace, Labels: v.Labels, Annotations: move.Notes},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeName: v.ID,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: bytesOf(v.Size)}},
		},
	}, metav1.CreateOptions{FieldManager: agent.FieldManager})
	if !apierrors.IsAlreadyExists(err) {
		return kube.Explain(doing, err)
	}
	claim, err := claims.Get(ctx, v.Claim, metav1.GetOptions{})
	if err == nil && claim.Spec.VolumeName != v.ID {
		err = agent.Errorf(agent.CodeConflict, "delete that one first: hks volume delete "+v.Claim+" --now", "there is another volume called %s now", v.Claim)
	}
	return kube.Explain(doing, err)
}

// forgetPV takes the PersistentVolume away; the disk is another matter.
func (m *Manager) forgetPV(ctx context.Context, id string) error {
	if pv := m.watch.volume(id); pv == nil || pv.DeletionTimestamp != nil {
		return nil
	}
	return kube.Delete(ctx, m.cfg.Cluster.Interface().CoreV1().PersistentVolumes(), "removing the volume "+id, id)
}

// tellSize has the cluster know how large a volume is now.
func (m *Manager) tellSize(ctx context.Context, v store.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	doing := "telling the cluster the size of " + v.Claim
	core, options := m.cfg.Cluster.Interface().CoreV1(), metav1.PatchOptions{FieldManager: agent.FieldManager}
	capacity := map[string]any{"capacity": map[string]any{"storage": resource.NewQuantity(v.Asked, resource.BinarySI).String()}}
	spec, err := json.Marshal(map[string]any{"spec": capacity})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	status, err := json.Marshal(map[string]any{"status": capacity})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if _, err := core.PersistentVolumes().Patch(ctx, v.ID, types.MergePatchType, spec, options); err != nil {
		return kube.Explain(doing, err)
	}
	_, err = core.PersistentVolumeClaims(v.Namespace).Patch(ctx, v.Claim, types.MergePatchType, status, options, "status")
	return kube.Explain(doing, err)
}
