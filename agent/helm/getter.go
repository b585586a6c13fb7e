package helm

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// getter gives Helm its connection to the cluster, for one action.
type getter struct {
	namespace string
	rest      func() (*rest.Config, error)

	once       sync.Once // guards the rest
	discovered discovery.CachedDiscoveryInterface
	err        error
}

// ToRESTConfig returns the connection's settings.
func (g *getter) ToRESTConfig() (*rest.Config, error) {
	settings, err := g.rest()
	if err != nil {
		return nil, err
	}
	settings.WarningHandler = rest.NoWarnings{}
	settings.QPS, settings.Burst = 50, 100
	return settings, nil
}

// ToDiscoveryClient returns what the cluster knows, kept for this action.
func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	g.once.Do(func() {
		settings, err := g.ToRESTConfig()
		if err != nil {
			g.err = err
			return
		}
		client, err := discovery.NewDiscoveryClientForConfig(settings)
		if err != nil {
			g.err = fmt.Errorf("preparing to ask what the cluster knows: %w", err)
			return
		}
		g.discovered = memory.NewMemCacheClient(client)
	})
	return g.discovered, g.err
}

// ToRESTMapper maps kinds to resources.
func (g *getter) ToRESTMapper() (meta.RESTMapper, error) {
	client, err := g.ToDiscoveryClient()
	if err != nil {
		return nil, err
	}
	return restmapper.NewDeferredDiscoveryRESTMapper(client), nil
}

// ToRawKubeConfigLoader tells the namespace; nothing else is asked of it.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}
