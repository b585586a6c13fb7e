// Package settings reads k3s's settings: configuration file, drop-ins, environment and command line, in k3s's order.
package settings

import (
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Role says whether a process is a server or an agent.
type Role string

// The two roles.
const (
	Server Role = "server"
	Agent  Role = "agent"
)

const (
	defaultConfig  = "/etc/rancher/k3s/config.yaml"
	defaultDataDir = "/var/lib/rancher/k3s"
)

// Settings are the settings of one process.
type Settings struct {
	Role                                         Role
	DataDir, ExtractDir                          string
	Token, TokenFile, AgentToken, Server         string
	NodeName, ResolvConf, PrivateRegistry        string
	NodeIP, NodeLabels, NodeTaints               []string
	KubeletArgs, ProxyArgs                       []string
	APIServerArgs, ControllerArgs, SchedulerArgs []string
	Kubeconfig, KubeconfigMode                   string
	TLSSANs, Disable                             []string
	SecretsEncryption, NoPolicy, Debug           bool
	ClusterCIDR, ServiceCIDR, Port               string
	BindAddress, AdvertiseAddress, StoragePath   string
}

// Load reads the settings of a role; getenv is os.Getenv except in tests.
func Load(role Role, args []string, getenv func(string) string) (*Settings, error) {
	cli, err := parseArgs(role, args)
	if err != nil {
		return nil, err
	}
	file := configFile(cli, getenv)
	values, err := readFiles(file)
	if err != nil {
		return nil, err
	}
	for name := range values {
		if err := known(role, name); err != nil {
			if role == Agent {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			log.Printf("level=warning msg=\"Unknown flag --%s found in config.yaml, skipping\"", name)
			delete(values, name)
		}
	}
	s := &Settings{Role: role}
	for name, k := range keys {
		vals := append(append([]string{}, values[name]...), cli[name]...)
		if len(vals) == 0 && k.env != "" && getenv(k.env) != "" {
			vals = []string{getenv(k.env)}
		}
		if len(vals) > 0 && k.field != nil {
			if err := set(k, k.field(s), vals); err != nil {
				return nil, fmt.Errorf("setting %s: %w", name, err)
			}
		}
	}
	s.PrivateRegistry = or(s.PrivateRegistry, filepath.Join(filepath.Dir(file), "registries.yaml"))
	s.ExtractDir = extractDir(cli, getenv)
	return s, s.complete()
}

func configFile(cli map[string][]string, getenv func(string) string) string {
	if f := getenv("K3S_CONFIG_FILE"); f != "" {
		return f
	}
	if f := cli["config"]; len(f) > 0 {
		return f[len(f)-1]
	}
	return defaultConfig
}

// extractDir is the folder k3s unpacks its own binaries into; --config has no say in it.
func extractDir(cli map[string][]string, getenv func(string) string) string {
	if d := getenv("K3S_DATA_DIR"); d != "" {
		return d
	}
	if d := cli["data-dir"]; len(d) > 0 {
		return d[len(d)-1]
	}
	values, _ := readFiles(or(getenv("K3S_CONFIG_FILE"), defaultConfig))
	if d := values["data-dir"]; len(d) > 0 {
		return d[len(d)-1]
	}
	return defaultDataDir
}

func known(role Role, name string) error {
	k, ok := keys[name]
	if !ok || (role == Server && !k.server) || (role == Agent && !k.agent) {
		return fmt.Errorf("flag provided but not defined: -%s", name)
	}
	return nil
}

func set(k key, field any, vals []string) error {
	switch f := field.(type) {
	case *string:
		*f = vals[len(vals)-1]
	case *bool:
		b, err := strconv.ParseBool(vals[len(vals)-1])
		if err != nil {
			return err
		}
		*f = b
	case *[]string:
		for _, v := range vals {
			if k.kind == comma {
				*f = append(*f, strings.Split(v, ",")...)
			} else {
				*f = append(*f, v)
			}
		}
	}
	return nil
}

// complete fills in defaults and checks what can be checked early.
func (s *Settings) complete() error {
	s.DataDir = or(s.DataDir, defaultDataDir)
	abs, err := filepath.Abs(s.DataDir)
	if err != nil {
		return err
	}
	s.DataDir = abs
	s.ClusterCIDR = or(s.ClusterCIDR, "10.42.0.0/16")
	s.ServiceCIDR = or(s.ServiceCIDR, "10.43.0.0/16")
	s.Port = or(s.Port, "6443")
	s.BindAddress = or(s.BindAddress, "0.0.0.0")
	s.KubeconfigMode = or(s.KubeconfigMode, "0600")
	s.StoragePath = or(s.StoragePath, filepath.Join(s.DataDir, "storage"))
	for _, cidr := range []string{s.ClusterCIDR, s.ServiceCIDR} {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			return err
		}
	}
	if s.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		s.NodeName = strings.ToLower(host)
	}
	if s.Token == "" && s.TokenFile != "" {
		data, err := os.ReadFile(s.TokenFile)
		if err != nil {
			return fmt.Errorf("token-file: %w", err)
		}
		s.Token = strings.TrimSpace(string(data))
	}
	if s.Role == Agent && s.Server == "" {
		return fmt.Errorf("--server is required")
	}
	if s.Role == Agent && s.Token == "" {
		return fmt.Errorf("--token is required")
	}
	return nil
}

// Disabled says whether a packaged component is switched off.
func (s *Settings) Disabled(name string) bool { return slices.Contains(s.Disable, name) }

// ServiceIP is the nth address of the service range.
func (s *Settings) ServiceIP(n int) string {
	addr := netip.MustParsePrefix(s.ServiceCIDR).Masked().Addr()
	for range n {
		addr = addr.Next()
	}
	return addr.String()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
