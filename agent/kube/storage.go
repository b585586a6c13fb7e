package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	storageac "k8s.io/client-go/applyconfigurations/storage/v1"

	"hks.dev/hks/agent"
)

// defaultClass marks the class of claims that name none. Of several the newest
// counts, so that ours does even where k3s marks its own again.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

// applyStorage makes the class of volumes that hks makes itself, the default
// from then on. Its pods go where they would, and the disk is made there. Volumes
// of other classes stay as they are.
func (c *Client) applyStorage(ctx context.Context, doing string) error {
	classes := c.set.StorageV1().StorageClasses()
	class := storageac.StorageClass(agent.StorageClass).WithLabels(platformLabels()).
		WithAnnotations(map[string]string{defaultClass: "true"}).
		WithProvisioner(agent.VolumeProvisioner).
		WithReclaimPolicy(corev1.PersistentVolumeReclaimDelete).
		WithVolumeBindingMode(storagev1.VolumeBindingWaitForFirstConsumer).
		WithAllowVolumeExpansion(true)
	if _, err := Apply(ctx, classes, doing, class); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	list, err := classes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return Explain(doing, err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"false"}}}`, defaultClass)
	for i := range list.Items {
		other := &list.Items[i]
		if other.Name == agent.StorageClass || other.Annotations[defaultClass] != "true" {
			continue
		}
		if _, err := classes.Patch(ctx, other.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent.FieldManager}); err != nil {
			return IgnoreNotFound(Explain(doing, err))
		}
	}
	return nil
}
