package kube

import (
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"hks.dev/hks/agent"
)

func TestOurClassIsTheDefault(t *testing.T) {
	other := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "local-path", Annotations: map[string]string{defaultClass: "true"}}, Provisioner: "rancher.io/local-path"}
	c := &Client{set: fake.NewClientset(other)}
	for range 2 { // again: nothing changes
		if err := c.applyStorage(t.Context(), "trying"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.set.StorageV1().StorageClasses().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%d classes, %v", len(list.Items), err)
	}
	for _, class := range list.Items {
		want := "false"
		if class.Name == agent.StorageClass {
			want = "true"
			if class.Provisioner != agent.VolumeProvisioner || !*class.AllowVolumeExpansion || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer || len(class.AllowedTopologies) > 0 {
				t.Errorf("got %+v", class)
			}
		}
		if class.Annotations[defaultClass] != want {
			t.Errorf("%s: default is %q", class.Name, class.Annotations[defaultClass])
		}
	}
}
