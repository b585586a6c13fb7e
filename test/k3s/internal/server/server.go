package server

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"hks.dev/hks/test/k3s/internal/node"
)

// startServer starts the control plane and the node, and returns when both run.
func (r *runner) startServer(ctx context.Context) error {
	f := newFiles(r.cfg)
	if err := f.make(); err != nil {
		return err
	}
	images := make(chan error, 1)
	var runtime *containerd.Client
	go func() {
		var err error
		if runtime, err = r.node.StartContainerd(ctx); err == nil {
			err = r.node.ImportImages(ctx, runtime)
		}
		images <- err
	}()
	if err := r.startControlPlane(ctx, f); err != nil {
		return err
	}
	admin, err := clientcmd.BuildConfigFromFlags("", f.cred("supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	admin.QPS, admin.Burst = 100, 200
	if err := waitReady(ctx, admin); err != nil {
		return err
	}
	if err := r.startControllers(f); err != nil {
		return err
	}
	deploy, err := newDeployer(r.cfg, f, admin)
	if err != nil {
		return err
	}
	if err := deploy.first(ctx); err != nil {
		return err
	}
	log.Printf("level=info msg=\"k3s is up and running\"")
	notifyReady()
	go deploy.keep(ctx)

	if err := <-images; err != nil {
		return err
	}
	go r.node.WatchImages(ctx, runtime)
	return r.node.Start(ctx, node.Credentials{
		Kubeconfig:  f.cred("kubelet.kubeconfig"),
		Proxy:       f.cred("kube-proxy.kubeconfig"),
		ClientCA:    f.tls("client-ca.crt"),
		ServingCert: f.tls("serving-kubelet.crt"),
		ServingKey:  f.tls("serving-kubelet.key"),
		Roles:       map[string]string{"node-role.kubernetes.io/control-plane": "true"},
		Admin:       admin,
	})
}

func (r *runner) startControlPlane(ctx context.Context, f files) error {
	secret, err := readSecrets(r.cfg, f)
	if err != nil {
		return err
	}
	if err := r.startStore(f); err != nil {
		return err
	}
	if err := r.loadBootstrap(ctx, f, secret.server); err != nil {
		return err
	}
	if r.cfg.SecretsEncryption {
		if err := ensureEncryption(f); err != nil {
			return err
		}
	}
	if err := r.ensureCerts(f); err != nil {
		return err
	}
	if err := secret.write(f); err != nil {
		return err
	}
	if err := r.saveBootstrap(ctx, f, secret.server); err != nil {
		return err
	}
	return r.group.Start("kube-apiserver", os.Stderr, 3*time.Second, r.apiserverArgs(f)...)
}

func (r *runner) startControllers(f files) error {
	if err := r.group.Start("kube-controller-manager", os.Stderr, 3*time.Second, r.controllerArgs(f)...); err != nil {
		return err
	}
	return r.group.Start("kube-scheduler", os.Stderr, 3*time.Second, r.schedulerArgs(f)...)
}

// waitReady waits until the API server says it is.
func waitReady(ctx context.Context, cfg *rest.Config) error {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return err
	}
	client.Timeout = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, fmt.Errorf("the API server isn't ready after 5 minutes"))
	defer cancel()
	for {
		res, err := client.Get(cfg.Host + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
