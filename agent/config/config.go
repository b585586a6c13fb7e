// Package config reads the one settings file of the appliance, config.yaml:
// strictly (an unknown key is an error that names the nearest known one) into
// one struct whose defaults are all in Default.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// Config is everything that can be set. Keys in the file are those of the yaml tags.
type Config struct {
	Root string `yaml:"-"` // prefix of every path; from --root, never from the file

	Domain     string     `yaml:"domain"`     // apps get hosts below it; "localhost" resolves on this machine only
	Supervisor Supervisor `yaml:"supervisor"` // who runs k3s and the gateway
	API        API        `yaml:"api"`
	Gateway    Gateway    `yaml:"gateway"`
	K3s        K3s        `yaml:"k3s"`
	Registry   Registry   `yaml:"registry"`
	Build      Build      `yaml:"build"`
	Deploy     Deploy     `yaml:"deploy"`
	Assistant  Assistant  `yaml:"assistant"`
	Volumes    Volumes    `yaml:"volumes"`
	Backup     Backup     `yaml:"backup"`
	Update     Update     `yaml:"update"`
	Log        Log        `yaml:"log"`
}

// Supervisor says who runs the long-lived processes.
type Supervisor string

// The supervisors.
const (
	SupervisorAuto    Supervisor = "auto"    // systemd where it is PID 1, else child
	SupervisorSystemd Supervisor = "systemd" // systemd units over D-Bus
	SupervisorChild   Supervisor = "child"   // children of the agent that outlive it
)

// API is the HTTPS API and UI of the agent.
type API struct {
	Listen string   `yaml:"listen"` // address:port
	Hosts  []string `yaml:"hosts"`  // further names and addresses it may be reached under
}

// Gateway is the data plane.
type Gateway struct {
	HTTP  string `yaml:"http"`  // address:port for plain HTTP
	HTTPS string `yaml:"https"` // address:port for TLS

	Addresses []string `yaml:"addresses"` // where custom domains are to point; default: those of this machine
	ACME      ACME     `yaml:"acme"`
}

// K3s is the engine.
type K3s struct {
	Binary       string         `yaml:"binary"`       // default: /usr/local/bin/k3s under the root; HKS_K3S_BINARY overrides both
	NodeName     string         `yaml:"nodeName"`     // default: the host name
	StartTimeout time.Duration  `yaml:"startTimeout"` // until the API and the node are ready
	Extra        map[string]any `yaml:"extra"`        // passed through to k3s's own config file
}

// Registry is the appliance's own image registry.
type Registry struct {
	Listen string `yaml:"listen"` // address:port, TLS
	Budget Size   `yaml:"budget"` // of all images on the disk; the oldest that nobody needs go when it is used up
}

// Build is how images are built and what all builds together may take.
type Build struct {
	CPUs        float64 `yaml:"cpus"`        // cores
	Memory      Size    `yaml:"memory"`      // of the steps; one that takes more is killed
	Parallelism int     `yaml:"parallelism"` // steps at a time
	Cache       Size    `yaml:"cache"`       // on the disk
	Network     string  `yaml:"network"`     // of the steps: host, or none
	CA          string  `yaml:"ca"`          // file with a PEM bundle, where the network signs TLS anew
	Runc        string  `yaml:"runc"`        // default: the one on the path, else k3s's own
}

// Deploy is how releases are rolled out.
type Deploy struct {
	Deadline time.Duration `yaml:"deadline"` // how long a release may make no progress before it has failed
}

// Assistant watches how workloads fare.
type Assistant struct {
	Interval time.Duration `yaml:"interval"` // between samples
	Series   Size          `yaml:"series"`   // of the kept figures on the disk; the oldest go first
	Speed    float64       `yaml:"speed"`    // of its clock: more than 1 lets hours pass in minutes, for trying it out
	Explain  Explain       `yaml:"explain"`
}

// Explain is a language model that puts evidence into plain words. Off, unless
// an address is given.
type Explain struct {
	URL     string `yaml:"url"`     // of an API as OpenAI's, such as http://127.0.0.1:11434/v1
	Model   string `yaml:"model"`   // as that API calls it
	KeyFile string `yaml:"keyFile"` // holds its key; none for a local one
}

// Volumes is what apps and services keep their data on.
type Volumes struct {
	Grace time.Duration `yaml:"grace"` // how long a volume stays whose app or service was deleted
}

// Log is the agent's own log.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Logger writes a process's own log as the settings ask; an unknown level
// means info.
func (l Log) Logger(to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// Default returns the settings of an appliance whose file is empty.
func Default(root string) Config {
	return Config{
		Root:       root,
		Domain:     "localhost",
		Supervisor: SupervisorAuto,
		API:        API{Listen: ":8443"},
		Gateway:    Gateway{HTTP: ":80", HTTPS: ":443", ACME: ACME{Directory: LetsEncrypt}},
		K3s:        K3s{StartTimeout: 5 * time.Minute},
		Registry:   Registry{Listen: ":5443", Budget: 20 << 30},
		Build:      Build{CPUs: 1.5, Memory: 2 << 30, Parallelism: 2, Cache: 10 << 30, Network: "host"},
		Deploy:     Deploy{Deadline: 2 * time.Minute},
		Assistant:  Assistant{Interval: 15 * time.Second, Series: 200 << 20, Speed: 1},
		Volumes:    Volumes{Grace: 7 * 24 * time.Hour},
		Backup:     Backup{Drill: 7 * 24 * time.Hour},
		Log:        Log{Level: "info", Format: "text"},
	}
}

// Load reads the settings file under root; a missing file means the defaults.
// HKS_K3S_BINARY, taken from getenv, overrides k3s.binary.
func Load(root string, getenv func(string) string) (Config, error) {
	cfg := Default(root)
	data, err := os.ReadFile(cfg.Paths().ConfigFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("reading settings: %w", err)
	}
	if err := cfg.decode(data); err != nil {
		return Config{}, &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("the settings file %s is not valid: %v", cfg.Paths().ConfigFile(), err),
			Fix:     "correct that line and start again; every key is explained in README.md, Settings",
			Cause:   err,
		}
	}
	if binary := getenv("HKS_K3S_BINARY"); binary != "" {
		cfg.K3s.Binary = binary
	}
	if cfg.K3s.Binary == "" {
		cfg.K3s.Binary = cfg.Paths().Bin("k3s")
	}
	return cfg, nil
}

func (c *Config) decode(data []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return explain(err)
	}
	return c.validate()
}

func (c *Config) validate() error {
	if err := agent.ValidateHost(c.Domain); err != nil {
		return fmt.Errorf("domain: %w", err)
	}
	switch c.Supervisor {
	case SupervisorAuto, SupervisorSystemd, SupervisorChild:
	default:
		return fmt.Errorf("supervisor: %q is none of auto, systemd, child", c.Supervisor)
	}
	for key, address := range map[string]string{
		"api.listen": c.API.Listen, "gateway.http": c.Gateway.HTTP,
		"gateway.https": c.Gateway.HTTPS, "registry.listen": c.Registry.Listen,
	} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s: %q is not ADDRESS:PORT", key, address)
		}
	}
	for key, duration := range map[string]time.Duration{"k3s.startTimeout": c.K3s.StartTimeout, "deploy.deadline": c.Deploy.Deadline, "volumes.grace": c.Volumes.Grace} {
		if duration <= 0 {
			return fmt.Errorf("%s: %s is not a positive duration", key, duration)
		}
	}
	if c.Registry.Budget <= 0 {
		return fmt.Errorf("registry.budget: %d bytes is no budget", c.Registry.Budget)
	}
	if err := c.Gateway.validate(); err != nil {
		return err
	}
	if err := c.Assistant.validate(); err != nil {
		return err
	}
	if err := c.Backup.validate(); err != nil {
		return err
	}
	if err := c.Update.validate(); err != nil {
		return err
	}
	return c.Build.validate()
}

func (a Assistant) validate() error {
	switch {
	case a.Interval < time.Second || a.Interval > time.Minute:
		return fmt.Errorf("assistant.interval: %s is not between 1s and 1m", a.Interval)
	case a.Speed < 1 || a.Speed > 1000:
		return fmt.Errorf("assistant.speed: %v is not between 1 and 1000", a.Speed)
	case a.Series <= 0:
		return fmt.Errorf("assistant.series: %d bytes is no budget", a.Series)
	case (a.Explain.URL == "") != (a.Explain.Model == ""):
		return errors.New("assistant.explain: url and model belong together")
	}
	return nil
}

// Paths returns where things are on the machine.
func (c *Config) Paths() Paths { return Paths{root: c.Root} }

// Paths names every file and folder of the appliance, below one root.
type Paths struct{ root string }

// At returns the absolute path p below the root.
func (p Paths) At(elem ...string) string {
	return filepath.Join(append([]string{"/", p.root}, elem...)...)
}

// ConfigFile is the settings file.
func (p Paths) ConfigFile() string { return p.At("etc/hks/config.yaml") }

// Bin is an installed command.
func (p Paths) Bin(name string) string { return p.At("usr/local/bin", name) }

// Versions holds one folder of binaries a version.
func (p Paths) Versions() string { return p.At("usr/local/lib/hks") }

// State holds what must survive: database, registry, backups, keys.
func (p Paths) State(elem ...string) string {
	return p.At(append([]string{"var/lib/hks"}, elem...)...)
}

// MachineFile says under which name and address the cluster was made.
func (p Paths) MachineFile() string { return p.State("machine.json") }

// Archives holds the appliance's own backups.
func (p Paths) Archives() string { return p.State("archives") }

// Volumes holds one folder a volume, with its filesystem in a file.
func (p Paths) Volumes() string { return p.State("volumes") }

// NodeFile says which node of which appliance this machine is; an appliance
// itself has none.
func (p Paths) NodeFile() string { return p.State("node.json") }

// UpgradeFile tells of the last change of the appliance's version.
func (p Paths) UpgradeFile() string { return p.State("upgrade.json") }

// Run holds sockets and pid files; it is gone after a reboot.
func (p Paths) Run(elem ...string) string { return p.At(append([]string{"run/hks"}, elem...)...) }

// Logs holds the logs of children where there is no journal.
func (p Paths) Logs(elem ...string) string { return p.At(append([]string{"var/log/hks"}, elem...)...) }

// AgentSocket is the API for the machine's own administrator.
func (p Paths) AgentSocket() string { return p.Run("agent.sock") }

// FunctionSocket is where the gateway asks the agent for instances of functions.
func (p Paths) FunctionSocket() string { return p.Run("functions.sock") }

// GatewaySocket is the gateway's own status and metrics.
func (p Paths) GatewaySocket() string { return p.Run("gateway.sock") }

// AgentKubeconfig is the agent's narrow credential.
func (p Paths) AgentKubeconfig() string { return p.State("agent.kubeconfig") }

// GatewayKubeconfig is the gateway's read-only credential.
func (p Paths) GatewayKubeconfig() string { return p.State("gateway/kubeconfig") }

// GatewayState is the gateway's own folder: certificates and the last route table.
func (p Paths) GatewayState() string { return p.State("gateway") }

// BuildSocket is where the builder listens.
func (p Paths) BuildSocket() string { return p.Run("buildkit.sock") }

// BuildState is the builder's own folder: its cache and work.
func (p Paths) BuildState() string { return p.State("buildkit") }

// BuildGroups names the control groups that were made for builds.
func (p Paths) BuildGroups() string { return p.Run("buildkit.groups") }

// K3sConfig is k3s's own settings file.
func (p Paths) K3sConfig() string { return p.At("etc/rancher/k3s/config.yaml") }

// K3sRegistries is k3s's registry settings.
func (p Paths) K3sRegistries() string { return p.At("etc/rancher/k3s/registries.yaml") }

// K3sKubeconfig is the cluster administrator's credential, written by k3s.
func (p Paths) K3sKubeconfig() string { return p.At("etc/rancher/k3s/k3s.yaml") }

// K3sData is k3s's data folder.
func (p Paths) K3sData() string { return p.At("var/lib/rancher/k3s") }

// Hosts is the machine's table of host names.
func (p Paths) Hosts() string { return p.At("etc/hosts") }
