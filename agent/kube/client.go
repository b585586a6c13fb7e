// Package kube is the one place that talks to the Kubernetes API: it connects
// with a kubeconfig file, applies objects by server-side apply under the field
// manager hks, makes the platform's own objects and narrow credentials, and
// turns the API's errors into words for people.
package kube

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config says how to reach the cluster.
type Config struct {
	Kubeconfig string // file with the server, its CA and a credential
	UserAgent  string // default hks-agent
}

// Requests a second. The API server has its own fairness (API priority and
// fairness); these only keep one agent from ever flooding a small machine.
const (
	queriesPerSecond = 50
	queryBurst       = 100
)

// Client is a connection to the cluster. It is safe for concurrent use.
type Client struct {
	file string // of the credential; empty for one held in memory
	rest *rest.Config
	set  kubernetes.Interface
}

// New reads the kubeconfig file; nothing is dialled before the first request.
func New(cfg Config) (*Client, error) {
	settings, err := clientcmd.BuildConfigFromFlags("", cfg.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's credential %s: %w", cfg.Kubeconfig, err)
	}
	return connect(settings, cfg)
}

func connect(settings *rest.Config, cfg Config) (*Client, error) {
	userAgent := cfg.UserAgent
	if userAgent == "" {
		userAgent = "hks-agent"
	}
	settings.UserAgent = userAgent
	settings.QPS, settings.Burst = queriesPerSecond, queryBurst
	// The API server's warnings are for people with kubectl. The workspace's
	// Pod Security warnings would be repeated at each apply and say nothing new.
	settings.WarningHandler = rest.NoWarnings{}
	// No rest.Config.Timeout: it would also end watches and followed logs. Each
	// call has a deadline of its own in its context.
	settings.Wrap(func(inner http.RoundTripper) http.RoundTripper { return patient{inner} })
	set, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to the cluster: %w", err)
	}
	return &Client{file: cfg.Kubeconfig, rest: settings, set: set}, nil
}

// Interface is the typed client.
func (c *Client) Interface() kubernetes.Interface { return c.set }

// REST returns the connection's settings as they are now, for exec,
// port-forward and other streams.
func (c *Client) REST() (*rest.Config, error) {
	if c.file == "" {
		return rest.CopyConfig(c.rest), nil
	}
	settings, err := clientcmd.BuildConfigFromFlags("", c.file)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's credential %s: %w", c.file, err)
	}
	settings.UserAgent = c.rest.UserAgent
	return settings, nil
}

// resync is how often informers replay what they hold, as a net under missed
// changes; watches do the real work.
const resync = 10 * time.Minute

// Informers returns a factory of shared informers for one namespace. The
// agent's credential can't list workloads of all namespaces, so namespace is
// empty for cluster-wide kinds only (nodes, namespaces).
func (c *Client) Informers(namespace string, options ...informers.SharedInformerOption) informers.SharedInformerFactory {
	return Informers(c.set, namespace, options...)
}

// Informers is Client.Informers for any typed client, such as a fake one.
func Informers(set kubernetes.Interface, namespace string, options ...informers.SharedInformerOption) informers.SharedInformerFactory {
	return informers.NewSharedInformerFactoryWithOptions(set, resync, append(options, informers.WithNamespace(namespace))...)
}
