package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	root := t.TempDir()
	file := (&Config{Root: root}).Paths().ConfigFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(root, func(string) string { return "" })
}

func TestLoad(t *testing.T) {
	cfg, err := load(t, "domain: apps.example.com\nk3s:\n  startTimeout: 90s\n  extra:\n    kubelet-arg: [fail-cgroupv1=false]\n")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Domain != "apps.example.com" || cfg.K3s.StartTimeout != 90*time.Second || cfg.API.Listen != ":8443" {
		t.Errorf("settings and defaults not merged: %+v", cfg)
	}
	if cfg.K3s.Binary != filepath.Join(cfg.Root, "usr/local/bin/k3s") {
		t.Errorf("k3s.binary = %q", cfg.K3s.Binary)
	}
}

func TestLoadBuild(t *testing.T) {
	cfg, err := load(t, "build:\n  cpus: 0.5\n  memory: 1536Mi\n  cache: 20Gi\n  network: none\n  ca: /etc/ssl/network.pem\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Build{CPUs: 0.5, Memory: 1536 << 20, Parallelism: 2, Cache: 20 << 30, Network: "none", CA: "/etc/ssl/network.pem"}
	if cfg.Build != want {
		t.Errorf("got %+v, want %+v", cfg.Build, want)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"512Mi": 512 << 20, "20Gi": 20 << 30, "1Ti": 1 << 40, "64Ki": 64 << 10, "100": 100} {
		if cfg, err := load(t, "registry:\n  budget: "+text+"\n"); err != nil || cfg.Registry.Budget != want {
			t.Errorf("%s: %d, %v", text, cfg.Registry.Budget, err)
		}
	}
	if cfg, err := load(t, ""); err != nil || cfg.Registry.Budget != 20<<30 {
		t.Errorf("default: %d, %v", cfg.Registry.Budget, err)
	}
}

func TestLoadMissingFileMeansDefaults(t *testing.T) {
	cfg, err := Load(t.TempDir(), func(string) string { return "/opt/k3s" })
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Domain != "localhost" || cfg.K3s.Binary != "/opt/k3s" {
		t.Errorf("got %+v", cfg)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key":        {"domian: x\n", `line 1: unknown key "domian", did you mean "domain"?`},
		"unknown nested key": {"api:\n  listn: :1\n", `line 2: unknown key "listn", did you mean "listen"?`},
		"bad address":        {"api:\n  listen: nonsense\n", "api.listen"},
		"bad supervisor":     {"supervisor: cron\n", "supervisor"},
		"bad domain":         {"domain: 'a b'\n", "domain"},
		"bad duration":       {"k3s:\n  startTimeout: -1s\n", "startTimeout"},
		"size in words":      {"build:\n  memory: much\n", "line 2: \"much\" is not a size"},
		"size with a comma":  {"build:\n  cache: 1,5Gi\n", "is not a size"},
		"no processor":       {"build:\n  cpus: 0\n", "build.cpus"},
		"little memory":      {"build:\n  memory: 1Mi\n", "build.memory"},
		"no steps":           {"build:\n  parallelism: 0\n", "build.parallelism"},
		"odd network":        {"build:\n  network: bridge\n", "build.network"},
		"relative file":      {"build:\n  ca: ca.pem\n", "build.ca"},
		"bad budget":         {"registry:\n  budget: 20 apples\n", `line 2: "20 apples" is not a size`},
		"huge budget":        {"registry:\n  budget: 99999999999Ti\n", "too large a size"},
		"no budget":          {"registry:\n  budget: 0Mi\n", "registry.budget"},
		"not yaml":           {"\tx", "cannot start any token"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want it to contain %q", err, tt.want)
			}
		})
	}
}
