package gateway

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clients talk to the three API groups that routing needs. The ready-made
// clientset would bring every group there is into a process that is to stay small.
type clients struct{ core, networking, discovery rest.Interface }

func newClients(kubeconfig []byte) (clients, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return clients{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return clients{}, fmt.Errorf("registering types: %w", err)
		}
	}
	config.UserAgent = "hks-gateway"
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return clients{}, fmt.Errorf("using the credential: %w", err)
	}
	group := func(gv schema.GroupVersion, path string) rest.Interface {
		if err != nil {
			return nil
		}
		c := rest.CopyConfig(config)
		c.GroupVersion, c.APIPath = &gv, path
		var made *rest.RESTClient
		made, err = rest.RESTClientForConfigAndClient(c, shared)
		return made
	}
	made := clients{
		core:       group(corev1.SchemeGroupVersion, "/api"),
		networking: group(networkingv1.SchemeGroupVersion, "/apis"),
		discovery:  group(discoveryv1.SchemeGroupVersion, "/apis"),
	}
	if err != nil {
		return clients{}, fmt.Errorf("using the credential: %w", err)
	}
	return made, nil
}

func asStatus(err error, status *apierrors.APIStatus) bool { return errors.As(err, status) }
