package k3s

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

func TestSettings(t *testing.T) {
	cfg := Config{
		DataDir: "/var/lib/rancher/k3s", Kubeconfig: "/etc/rancher/k3s/k3s.yaml", NodeName: "box", TLSSANs: []string{"b.example", "a.example", "b.example"},
		Extra: map[string]any{
			"kubelet-arg": []any{"fail-cgroupv1=false"}, "disable": []any{"metrics-server", "traefik"}, "node-label+": "zone=attic",
			"flannel-backend": "host-gw",
		},
	}
	data, err := cfg.settings()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"data-dir": "/var/lib/rancher/k3s", "write-kubeconfig": "/etc/rancher/k3s/k3s.yaml", "write-kubeconfig-mode": "0600",
		"secrets-encryption": true, "node-name": "box", "tls-san": []any{"a.example", "b.example"},
		"disable":     []any{"traefik", "servicelb", "metrics-server"},
		"node-label":  []any{"hks.dev/node-pool=shared", "zone=attic"},
		"kubelet-arg": []any{"pod-max-pids=1024", "fail-cgroupv1=false"}, "flannel-backend": "host-gw",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSettingsRefuse(t *testing.T) {
	tests := map[string]map[string]any{
		"data-dir":              {"data-dir": "/elsewhere"},
		"o":                     {"o": "/elsewhere"},
		"write-kubeconfig-mode": {"write-kubeconfig-mode": "0644"},
		"secrets-encryption":    {"secrets-encryption": false},
		"node-name+":            {"node-name+": "other"},
		"log":                   {"log": "/tmp/k3s.log"},
		"--debug":               {"--debug": true},
		"disable":               {"disable": 7},
	}
	for key, extra := range tests {
		t.Run(key, func(t *testing.T) {
			_, err := (Config{DataDir: "/d", Kubeconfig: "/k", NodeName: "box", Extra: extra}).settings()
			wantError(t, err, agent.CodeInvalid, "k3s.extra", key)
		})
	}
}

func TestCommandKeepsTheAgentsEnvironmentBack(t *testing.T) {
	argv, env := Config{Binary: "/k3s", ConfigFile: "/c.yaml", DataDir: "/d", Environ: []string{
		"PATH=/bin", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "K3S_TOKEN=secret", "HTTPS_PROXY=http://p", "HKS_SECRET=x",
	}}.Command()
	if !slices.Equal(argv, []string{"/k3s", "server"}) {
		t.Errorf("argv = %q", argv)
	}
	if want := []string{"K3S_CONFIG_FILE=/c.yaml", "K3S_DATA_DIR=/d", "PATH=/bin", "HTTPS_PROXY=http://p"}; !slices.Equal(env, want) {
		t.Errorf("env = %q, want %q", env, want)
	}
	if _, env := (Config{}).Command(); !strings.Contains(strings.Join(env, " "), "PATH=/usr/local/sbin:") {
		t.Errorf("no path in %q", env)
	}
}

func TestWriteRegistries(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("fine"))
	_, err := b.WriteRegistries(Registries{
		Mirrors: map[string]Mirror{agent.RegistryHost: {Endpoint: []string{"https://10.0.0.1:5443"}}},
		Configs: map[string]RegistryConfig{"10.0.0.1:5443": {
			Auth: &RegistryAuth{Username: "node", Password: "p"}, TLS: &RegistryTLS{CAFile: "/ca.crt"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.dir, "etc/registries.yaml")
	data, err := os.ReadFile(path)
	want := `# Written by hks.
mirrors:
    registry.hks.internal:
        endpoint:
            - https://10.0.0.1:5443
configs:
    10.0.0.1:5443:
        auth:
            username: node
            password: p
        tls:
            ca_file: /ca.crt
`
	if err != nil || string(data) != want {
		t.Errorf("file:\n%s\nwant:\n%s(%v)", data, want, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info, err)
	}
}

func TestNewChecksTheNodeName(t *testing.T) {
	p := newPlace(t)
	cfg := p.config("fine")
	cfg.Runner = struct{ Runner }{}
	cfg.NodeName = "My Laptop"
	_, err := New(cfg)
	wantError(t, err, agent.CodeInvalid, "My Laptop", "k3s.nodeName")
	if _, err := New(Config{}); err == nil {
		t.Error("an engine without places was made")
	}
}
