package buildkit

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// settings is the part of buildkitd.toml that hks says. What is not said is
// BuildKit's default: among others, no build is entitled to the machine's
// network or to privileges.
type settings struct {
	Root     string                      `toml:"root"`
	Log      logSettings                 `toml:"log"`
	GRPC     grpcSettings                `toml:"grpc"`
	CDI      cdiSettings                 `toml:"cdi"`
	History  historySettings             `toml:"history"`
	Worker   workers                     `toml:"worker"`
	Frontend frontends                   `toml:"frontend"`
	Registry map[string]registrySettings `toml:"registry"`
}

type logSettings struct {
	Level string `toml:"level"`
}

type grpcSettings struct {
	Address []string `toml:"address"`
	UID     int      `toml:"uid"`
	GID     int      `toml:"gid"`
}

type cdiSettings struct {
	Disabled bool `toml:"disabled"`
}

type historySettings struct {
	MaxAge     int `toml:"maxAge"` // seconds
	MaxEntries int `toml:"maxEntries"`
}

type workers struct {
	OCI        ociWorker `toml:"oci"`
	Containerd disabled  `toml:"containerd"`
}

type disabled struct {
	Enabled bool `toml:"enabled"`
}

type ociWorker struct {
	Enabled       bool   `toml:"enabled"`
	Snapshotter   string `toml:"snapshotter"`
	Binary        string `toml:"binary"`
	NetworkMode   string `toml:"networkMode"`
	CgroupParent  string `toml:"defaultCgroupParent,omitempty"`
	Parallelism   int    `toml:"max-parallelism"`
	GC            bool   `toml:"gc"`
	ReservedSpace int64  `toml:"reservedSpace"` // bytes, as the next two
	MaxUsedSpace  int64  `toml:"maxUsedSpace"`
	MinFreeSpace  int64  `toml:"minFreeSpace"`
}

type frontends struct {
	Gateway disabled `toml:"gateway.v0"`
}

type registrySettings struct {
	HTTP bool     `toml:"http"` // which is what BuildKit takes for granted on localhost
	CA   []string `toml:"ca"`
}

const (
	minFree       = 2 << 30 // bytes that stay free on the disk, if need be at the cache's cost
	historyAge    = 24 * time.Hour
	historyLength = 50
)

// settings is the content of the daemon's settings file.
func (c Config) settings(runc, cgroupParent string) ([]byte, error) {
	own := c.Registry()
	s := settings{
		Root:    c.Dir,
		Log:     logSettings{Level: "info"},
		GRPC:    grpcSettings{Address: []string{"unix://" + c.Socket}},
		CDI:     cdiSettings{Disabled: true},
		History: historySettings{MaxAge: int(historyAge.Seconds()), MaxEntries: historyLength},
		Worker: workers{OCI: ociWorker{
			Enabled: true, Snapshotter: "overlayfs", Binary: runc, CgroupParent: cgroupParent,
			// A build without a network says so itself; this is for the others.
			NetworkMode: "host",
			Parallelism: c.Parallelism,
			GC:          true, ReservedSpace: c.Cache / 10, MaxUsedSpace: c.Cache, MinFreeSpace: minFree,
		}},
		// The own registry's name is known to nobody else; each build has it
		// replaced by the address.
		Registry: map[string]registrySettings{own.Address: {CA: []string{own.CAFile}}},
	}
	var text bytes.Buffer
	text.WriteString("# Written by hks-agent at each start of the builder.\n")
	if err := toml.NewEncoder(&text).Encode(s); err != nil {
		return nil, fmt.Errorf("writing the builder's settings: %w", err)
	}
	return text.Bytes(), nil
}

// passed are the variables of this process that the daemon gets.
var passed = []string{
	"PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// Command returns what runs the daemon: argv and its environment.
func (c Config) Command() (argv, env []string) {
	env = []string{"HOME=" + c.Dir, "TMPDIR=" + filepath.Join(c.Dir, "tmp")}
	for _, variable := range c.Environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passed, name) && (name != "SSL_CERT_FILE" || c.CA == "") {
			env = append(env, variable)
		}
	}
	if c.CA != "" {
		env = append(env, "SSL_CERT_FILE="+c.CA)
	}
	return []string{c.Binary, "--config", c.SettingsFile}, env
}
