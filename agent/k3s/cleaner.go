package k3s

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Places that k3s uses wherever its data is.
const (
	runFolder     = "/run/k3s"
	netnsFolder   = "/run/netns"
	kubeletFolder = "/var/lib/kubelet"
	cniFolder     = "/var/lib/cni"
	socketPath    = "/run/k3s/containerd/containerd.sock"
)

// CleanerConfig says whose leftovers are meant.
type CleanerConfig struct {
	DataDir   string
	ConfigDir string       // of k3s's settings, removed by Purge
	Logger    *slog.Logger // default: none
}

// Cleaner takes away what a stopped k3s leaves on a machine: containers,
// mounts, interfaces, packet rules. It touches nothing that is not k3s's.
type Cleaner struct {
	cfg CleanerConfig
}

// NewCleaner checks the settings.
func NewCleaner(cfg CleanerConfig) (*Cleaner, error) {
	if !filepath.IsAbs(cfg.DataDir) || filepath.Clean(cfg.DataDir) == "/" {
		return nil, fmt.Errorf("%q is not a data folder of k3s", cfg.DataDir)
	}
	if !filepath.IsAbs(cfg.ConfigDir) || filepath.Clean(cfg.ConfigDir) == "/" {
		return nil, fmt.Errorf("%q is not a settings folder of k3s", cfg.ConfigDir)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.DataDir, cfg.ConfigDir = filepath.Clean(cfg.DataDir), filepath.Clean(cfg.ConfigDir)
	return &Cleaner{cfg: cfg}, nil
}

// step is one kind of leftover.
type step struct {
	name string
	run  func(context.Context) error
}

// Cleanup takes everything away that k3s needs running only; its data and
// settings stay. k3s must be stopped: what still runs of it is killed. Every
// step runs, also after one that fails. Cleaning twice is fine.
func (c *Cleaner) Cleanup(ctx context.Context) error {
	return c.all(ctx, []step{
		{"ending containers", c.killProcesses},
		{"unmounting", c.unmount},
		{"removing network namespaces", c.removeNamespaces},
		{"removing interfaces", c.removeLinks},
		{"removing packet rules", c.removeRules},
		{"removing sets of addresses", c.removeSets},
		{"removing packet tables", c.removeTables},
		{"removing control groups", c.removeCgroups},
		{"removing states of containers", c.removeRunFiles},
		{"removing the network's state", func(context.Context) error { return c.RemoveTrees(cniFolder) }},
	})
}

// Purge removes k3s's data and settings from a machine that was cleaned.
// What is mounted there, or lies below a mount, stays and is named.
func (c *Cleaner) Purge(ctx context.Context) error {
	return c.all(ctx, []step{
		{"removing k3s's files", func(context.Context) error {
			return c.RemoveTrees(c.cfg.DataDir, c.cfg.ConfigDir, "/run/flannel", kubeletFolder,
				"/etc/rancher/node", "/var/log/pods", "/var/log/containers")
		}},
		{"removing empty folders", func(context.Context) error {
			return errors.Join(removeEmpty(filepath.Dir(c.cfg.DataDir)), removeEmpty(filepath.Dir(c.cfg.ConfigDir)), removeEmpty("/etc/rancher"))
		}},
	})
}

func (c *Cleaner) all(ctx context.Context, steps []step) error {
	var failed []error
	for _, s := range steps {
		began := time.Now()
		err := s.run(ctx)
		c.cfg.Logger.Debug("cleaning", "step", s.name, "took", time.Since(began).Round(time.Millisecond), "error", err)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(failed...)
}

// Leftovers lists what a Cleanup would still find, each in a few words.
func (c *Cleaner) Leftovers(ctx context.Context) ([]string, error) {
	var found []string
	var failed []error
	for _, look := range []func(context.Context) ([]string, error){
		c.leftProcesses, c.leftMounts, c.leftNamespaces, c.leftLinks, c.leftRules, c.leftSets, c.leftTables, c.leftCgroups,
	} {
		items, err := look(ctx)
		found = append(found, items...)
		failed = append(failed, err)
	}
	return found, errors.Join(failed...)
}

// removeEmpty removes a folder when nothing is in it.
func removeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.EBUSY) { // busy is a mount
		return err
	}
	return nil
}
