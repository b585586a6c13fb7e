package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// NewDeferred is New for a kubeconfig file that may not be there yet, or may
// change: it is read at the first request and again after each change of the
// file. Until it exists, every request fails as one to a cluster that is away.
func NewDeferred(cfg Config) (*Client, error) {
	transport := &deferred{file: cfg.Kubeconfig}
	// The host is a stand-in: the transport sends each request to the server
	// that the file names.
	settings := &rest.Config{Host: "https://cluster.invalid", Transport: transport}
	return connect(settings, cfg)
}

// deferred is a transport to the server that a kubeconfig file names.
type deferred struct {
	file string

	mu       sync.Mutex // guards what follows
	modified time.Time  // of the file when it was read
	server   *url.URL
	inner    http.RoundTripper
}

// RoundTrip sends the request to the file's server with the file's credential.
func (d *deferred) RoundTrip(request *http.Request) (*http.Response, error) {
	inner, server, err := d.current()
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host, request.Host = server.Scheme, server.Host, server.Host
	return inner.RoundTrip(request)
}

func (d *deferred) current() (http.RoundTripper, *url.URL, error) {
	info, err := os.Stat(d.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.New("the cluster has not been started yet")
	} else if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's credential: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inner != nil && info.ModTime().Equal(d.modified) {
		return d.inner, d.server, nil
	}
	settings, err := clientcmd.BuildConfigFromFlags("", d.file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's credential: %w", err)
	}
	server, _, err := rest.DefaultServerUrlFor(settings)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's address: %w", err)
	}
	inner, err := rest.TransportFor(settings)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing the connection to the cluster: %w", err)
	}
	d.modified, d.server, d.inner = info.ModTime(), server, inner
	return inner, server, nil
}
