package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// load reads settings with these files (name -> content, in one folder), environment and arguments.
func load(t *testing.T, role Role, files, env map[string]string, args ...string) (*Settings, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(role, args, func(name string) string {
		if name == "K3S_CONFIG_FILE" && env[name] == "" {
			return filepath.Join(dir, "config.yaml")
		}
		return env[name]
	})
}

func TestPrecedence(t *testing.T) {
	files := map[string]string{
		"config.yaml":            "data-dir: /file\nnode-label: [a=1]\nkubelet-arg: [x=1]\ntoken: from-file\ndisable: [traefik]\n",
		"config.yaml.d/10.yaml":  "node-label+: [b=2]\ndata-dir: /ten\n",
		"config.yaml.d/20.yaml":  "kubelet-arg: [y=2]\ndata-dir: /twenty\n",
		"config.yaml.d/not-this": "data-dir: /no\n",
	}
	s, err := load(t, Server, files, map[string]string{"K3S_TOKEN": "from-env", "K3S_NODE_NAME": "Env-Name"}, "--node-label", "c=3", "--disable=servicelb,metrics-server", "--secrets-encryption")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]any{
		"data-dir":    {s.DataDir, "/twenty"},
		"node-label":  {s.NodeLabels, []string{"a=1", "b=2", "c=3"}},
		"kubelet-arg": {s.KubeletArgs, []string{"y=2"}},
		"token":       {s.Token, "from-file"},
		"node-name":   {s.NodeName, "Env-Name"},
		"disable":     {s.Disable, []string{"traefik", "servicelb", "metrics-server"}},
		"secrets":     {s.SecretsEncryption, true},
		"port":        {s.Port, "6443"},
	} {
		if !reflect.DeepEqual(c[0], c[1]) {
			t.Errorf("%s is %v, want %v", name, c[0], c[1])
		}
	}
	if s.ServiceIP(10) != "10.43.0.10" {
		t.Errorf("DNS address %s", s.ServiceIP(10))
	}
}

func TestCommandLineWins(t *testing.T) {
	s, err := load(t, Server, map[string]string{"config.yaml": "data-dir: /file\n"}, map[string]string{"K3S_DATA_DIR": "/env"}, "-d", "/cli")
	if err != nil || s.DataDir != "/cli" {
		t.Errorf("%v %v", s, err)
	}
}

func TestUnknownKeys(t *testing.T) {
	files := map[string]string{"config.yaml": "no-such-key: 1\n"}
	if _, err := load(t, Server, files, nil); err != nil {
		t.Errorf("a server only warns: %v", err)
	}
	agent := []string{"--server", "https://x:6443", "--token", "t"}
	if _, err := load(t, Agent, files, nil, agent...); err == nil || !strings.Contains(err.Error(), "no-such-key") {
		t.Errorf("an agent refuses: %v", err)
	}
	if _, err := load(t, Agent, map[string]string{"config.yaml": "disable: [traefik]\n"}, nil, agent...); err == nil {
		t.Error("an agent refuses a server's key")
	}
	if _, err := load(t, Server, nil, nil, "--no-such-flag"); err == nil {
		t.Error("a wrong flag is fatal")
	}
}

func TestAgentNeedsServerAndToken(t *testing.T) {
	if _, err := load(t, Agent, nil, map[string]string{"K3S_URL": "https://x:6443"}); err == nil {
		t.Error("no token")
	}
	if s, err := load(t, Agent, nil, map[string]string{"K3S_URL": "https://x:6443", "K3S_TOKEN": "t"}); err != nil || s.Server != "https://x:6443" {
		t.Errorf("%v %v", s, err)
	}
}
