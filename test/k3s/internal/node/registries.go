package node

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// registries is k3s's registries.yaml.
type registries struct {
	Mirrors map[string]struct {
		Endpoints []string          `yaml:"endpoint"`
		Rewrites  map[string]string `yaml:"rewrite"`
	} `yaml:"mirrors"`
	Configs map[string]registryConfig `yaml:"configs"`
}

type registryConfig struct {
	Auth *registryAuth `yaml:"auth"`
	TLS  *registryTLS  `yaml:"tls"`
}

type registryAuth struct {
	Host          string `yaml:"-"`
	Username      string `yaml:"username"`
	Password      string `yaml:"password"`
	Auth          string `yaml:"auth"`
	IdentityToken string `yaml:"identity_token"`
}

type registryTLS struct {
	CAFile             string `yaml:"ca_file"`
	CertFile           string `yaml:"cert_file"`
	KeyFile            string `yaml:"key_file"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"`
}

func (n *Node) readRegistries() (*registries, error) {
	r := &registries{}
	data, err := os.ReadFile(n.cfg.PrivateRegistry)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", n.cfg.PrivateRegistry, err)
	}
	return r, nil
}

// auths lists the credentials by host, in a stable order.
func (r *registries) auths() []registryAuth {
	var out []registryAuth
	for host, c := range r.Configs {
		if c.Auth != nil {
			a := *c.Auth
			a.Host = host
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Host < out[j].Host })
	return out
}

// writeHosts writes a hosts.toml for each registry of the file.
func (r *registries) writeHosts(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	hosts := map[string]bool{}
	for h := range r.Mirrors {
		hosts[h] = true
	}
	for h := range r.Configs {
		hosts[h] = true
	}
	for host := range hosts {
		text, err := r.hostsTOML(host)
		if err != nil {
			return fmt.Errorf("registries.yaml: %s: %w", host, err)
		}
		name := host
		if host == "*" {
			name = "_default"
		}
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, "hosts.toml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *registries) hostsTOML(host string) (string, error) {
	var b strings.Builder
	if host != "*" {
		server := "https://" + host
		if host == "docker.io" {
			server = "https://registry-1.docker.io"
		}
		fmt.Fprintf(&b, "server = %q\n", server)
		b.WriteString("capabilities = [\"pull\", \"resolve\"]\n")
		b.WriteString(r.tls(host, ""))
	}
	mirror := r.Mirrors[host]
	if len(mirror.Rewrites) > 0 {
		return "", fmt.Errorf("rewrite is a feature of k3s's own containerd and not in the stand-in")
	}
	for _, e := range mirror.Endpoints {
		if !strings.Contains(e, "://") {
			e = "https://" + e
		}
		u, err := url.Parse(e)
		if err != nil {
			return "", err
		}
		path := strings.TrimSuffix(u.Path, "/")
		override := path != "" && path != "/v2"
		u.Path = ""
		if override {
			u.Path = path
		}
		fmt.Fprintf(&b, "\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", u.String())
		if override {
			b.WriteString("  override_path = true\n")
		}
		b.WriteString(r.tls(u.Host, "  "))
	}
	return b.String(), nil
}

func (r *registries) tls(host, indent string) string {
	t := r.Configs[host].TLS
	if t == nil {
		return ""
	}
	var b strings.Builder
	if t.CAFile != "" {
		fmt.Fprintf(&b, "%sca = [%q]\n", indent, t.CAFile)
	}
	if t.CertFile != "" {
		fmt.Fprintf(&b, "%sclient = [[%q, %q]]\n", indent, t.CertFile, t.KeyFile)
	}
	if t.InsecureSkipVerify {
		fmt.Fprintf(&b, "%sskip_verify = true\n", indent)
	}
	return b.String()
}
