package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"hks.dev/hks/test/k3s/internal/pki"
)

// ensureCerts makes the CAs once, and every other certificate and kubeconfig at each start.
func (r *runner) ensureCerts(f files) error {
	for file, name := range map[string]string{"server-ca": "k3s-server-ca", "client-ca": "k3s-client-ca", "request-header-ca": "k3s-request-header-ca"} {
		if err := pki.EnsureCA(f.pair(file), name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := pki.EnsureKey(f.tls("service.key")); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	sans := append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
		"127.0.0.1", host, r.cfg.NodeName, r.node.IP(), r.cfg.ServiceIP(1),
	}, r.cfg.TLSSANs...)
	if r.cfg.AdvertiseAddress != "" {
		sans = append(sans, r.cfg.AdvertiseAddress)
	}
	for _, c := range []struct {
		ca, name string
		subject  pki.Subject
	}{
		{"server-ca", "serving-kube-apiserver", pki.Subject{Name: "kube-apiserver", Hosts: sans}},
		{"server-ca", "serving-kubelet", pki.Subject{Name: r.cfg.NodeName, Hosts: []string{r.cfg.NodeName, "127.0.0.1", r.node.IP()}}},
		{"request-header-ca", "client-auth-proxy", pki.Subject{Name: "system:auth-proxy"}},
		{"client-ca", "client-admin", pki.Subject{Name: "system:admin", Group: "system:masters"}},
		{"client-ca", "client-supervisor", pki.Subject{Name: "system:k3s-supervisor", Group: "system:masters"}},
		{"client-ca", "client-controller", pki.Subject{Name: "system:kube-controller-manager"}},
		{"client-ca", "client-scheduler", pki.Subject{Name: "system:kube-scheduler"}},
		{"client-ca", "client-kube-proxy", pki.Subject{Name: "system:kube-proxy", Group: "system:nodes"}},
		{"client-ca", "client-kubelet", pki.Subject{Name: "system:node:" + r.cfg.NodeName, Group: "system:nodes"}},
		{"client-ca", "client-kube-apiserver", pki.Subject{Name: "system:apiserver", Group: "system:masters"}},
	} {
		if err := pki.Issue(f.pair(c.ca), f.pair(c.name), c.subject); err != nil {
			return fmt.Errorf("certificate %s: %w", c.name, err)
		}
	}
	return r.writeKubeconfigs(f)
}

func (r *runner) url() string { return "https://127.0.0.1:" + r.cfg.Port }

func (r *runner) writeKubeconfigs(f files) error {
	ca, err := os.ReadFile(f.tls("server-ca.crt"))
	if err != nil {
		return err
	}
	mode, err := strconv.ParseUint(r.cfg.KubeconfigMode, 8, 32)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-mode: %w", err)
	}
	for name, file := range map[string]string{
		"client-admin": f.cred("admin.kubeconfig"), "client-supervisor": f.cred("supervisor.kubeconfig"),
		"client-controller": f.cred("controller.kubeconfig"), "client-scheduler": f.cred("scheduler.kubeconfig"),
		"client-kube-proxy": f.cred("kube-proxy.kubeconfig"), "client-kubelet": f.cred("kubelet.kubeconfig"),
	} {
		user, err := pki.ClientUser(f.pair(name))
		if err != nil {
			return err
		}
		if err := pki.Kubeconfig(file, r.url(), ca, user, 0o600); err != nil {
			return err
		}
	}
	user, err := pki.ClientUser(f.pair("client-admin"))
	if err != nil {
		return err
	}
	const usual = "/etc/rancher/k3s/k3s.yaml"
	out := r.cfg.Kubeconfig
	if out == "" {
		out = usual
	}
	for _, file := range []string{out, usual} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(usual); err == nil && (info.Mode()&os.ModeSymlink != 0 || out != usual) {
		os.Remove(usual)
	}
	if err := pki.Kubeconfig(out, r.url(), ca, user, os.FileMode(mode)); err != nil {
		return err
	}
	if out != usual {
		return os.Symlink(out, usual)
	}
	return nil
}
