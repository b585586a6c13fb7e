// Package node runs what a Kubernetes node is made of: containerd, kubelet, kube-proxy, pod network and network policies.
package node

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"hks.dev/hks/test/k3s/internal/netpol"
	"hks.dev/hks/test/k3s/internal/payload"
	"hks.dev/hks/test/k3s/internal/proc"
	"hks.dev/hks/test/k3s/internal/settings"
)

// A Node is one node, made ready by New and started in two steps.
type Node struct {
	cfg     *settings.Settings
	payload payload.Dir
	group   *proc.Group
	machine machine
	dns     string
}

// Credentials are what a node's processes identify themselves with.
type Credentials struct {
	Kubeconfig              string // of the kubelet
	Bootstrap               string // kubeconfig to ask for the first certificate with; empty when there is one
	Proxy                   string // kubeconfig of kube-proxy and the pod network; may come to be after the kubelet has its certificate
	ClientCA                string
	ServingCert, ServingKey string            // empty: the kubelet makes its own
	Roles                   map[string]string // labels only an administrator may set
	Admin                   *rest.Config      // to set them with; nil on an agent
}

// New looks at the machine and prepares it.
func New(cfg *settings.Settings, dir payload.Dir, group *proc.Group) (*Node, error) {
	m, err := lookAround(cfg.NodeIP)
	if err != nil {
		return nil, err
	}
	if err := setKernel(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, payload: dir, group: group, machine: m, dns: cfg.ServiceIP(10)}
	for _, d := range []string{n.agent("etc/containerd"), n.cniDir(), n.agent("images"), n.agent("containerd"), n.agent("pod-manifests"), "/var/lib/kubelet"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// IP is the node's address.
func (n *Node) IP() string { return n.machine.ip }

func (n *Node) agent(sub string) string { return filepath.Join(n.cfg.DataDir, "agent", sub) }
func (n *Node) cniDir() string          { return n.agent("etc/cni/net.d") }

// Start starts the Kubernetes part of the node and returns once its pod network is being looked after.
func (n *Node) Start(ctx context.Context, cred Credentials) error {
	if err := n.startKubelet(cred); err != nil {
		return err
	}
	if err := waitFor(ctx, 5*time.Minute, "this node's credentials", func() error {
		_, err := os.Stat(cred.Proxy)
		if err == nil {
			_, err = clientcmd.BuildConfigFromFlags("", cred.Proxy)
		}
		return err
	}); err != nil {
		return err
	}
	rc, err := clientcmd.BuildConfigFromFlags("", cred.Proxy)
	if err != nil {
		return err
	}
	rc.QPS, rc.Burst = 50, 100
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return err
	}
	if err := n.startProxy(cred); err != nil {
		return err
	}
	admin := client
	if cred.Admin != nil {
		if admin, err = kubernetes.NewForConfig(cred.Admin); err != nil {
			return err
		}
	}
	go n.keepLabels(ctx, admin, cred.Roles)
	go n.keepNetwork(ctx, client)
	if !n.cfg.NoPolicy {
		go netpol.Run(ctx, client, n.cfg.NodeName)
	}
	return nil
}

func waitFor(ctx context.Context, limit time.Duration, what string, ready func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no %s after %s", what, limit))
	defer cancel()
	said := time.Now()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			log.Printf("level=info msg=\"waiting for %s\" last=%q", what, err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
