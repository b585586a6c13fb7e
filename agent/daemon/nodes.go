package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/node"
	"hks.dev/hks/agent/registry"
)

// nodes makes the keeper of the cluster's machines.
func (p *parts) buildNodes(cfg Config, cluster *kube.Client, hub *api.Hub, journal *api.Journal) (err error) {
	paths := cfg.Settings.Paths()
	p.joinFiles = &joinFiles{
		programs: []string{paths.Bin("hks-agent"), paths.Bin("hks-installer"), cfg.Settings.K3s.Binary},
		images:   filepath.Join(paths.K3sData(), "agent/images"),
	}
	if p.diskKeys, err = newDiskKeys(paths.State("disks.json")); err != nil {
		return err
	}
	p.nodes, err = node.New(node.Config{
		Cluster: cluster, Store: p.store, Workspaces: p.workspace, Tokens: p.engine,
		Own: p.engine.NodeName(), Version: cfg.Version, Files: p.joinFiles.Files,
		Server: func(host string) string {
			return "https://" + net.JoinHostPort(host, fmt.Sprint(apiServerPort(cfg.Settings.K3s.Extra)))
		},
		Registry: func(host string, plan *agent.JoinPlan) error { return describe(p.registry.Mirror(), host, plan) },
		Disks:    p.diskKeys.forNode,
		Evacuate: p.evacuate,
		Changed:  p.workspace.Refit,
		Publish:  hub.Publish, Record: journal.Record, Log: cfg.Log,
	})
	return err
}

// evacuate moves everything off a node that could not go on without it. A
// volume that is left there holds the node up: it would be lost with it.
func (p *parts) evacuate(ctx context.Context, name string, last bool, by string) ([]string, error) {
	moving, err := p.apps.Evacuate(ctx, name, last, by)
	if err != nil {
		return nil, err
	}
	services, err := p.market.Evacuate(ctx, name, last, by)
	if err != nil || len(moving)+len(services) > 0 {
		return append(moving, services...), err
	}
	volumes, err := p.volumes.On(ctx, name)
	if err != nil || len(volumes) == 0 {
		return nil, err
	}
	return nil, agent.Errorf(agent.CodeConflict, "let go of them with: hks volume delete NAME --now", "volumes that nobody uses are on %s and would be lost with it: %s", name, strings.Join(volumes, ", "))
}

// apiServerPort is where the cluster's own API listens.
func apiServerPort(extra map[string]any) any {
	if port, ok := extra["https-listen-port"]; ok {
		return port
	}
	return 6443
}

// describe tells a machine that joins how it reaches the image registry.
func describe(m registry.Mirror, host string, plan *agent.JoinPlan) error {
	endpoint, err := url.Parse(m.Endpoint)
	if err != nil {
		return fmt.Errorf("reading the registry's address: %w", err)
	}
	ca, err := os.ReadFile(m.CAFile)
	if err != nil {
		return fmt.Errorf("reading the registry's authority: %w", err)
	}
	plan.Registry.Host, plan.Registry.Endpoint = m.Host, "https://"+net.JoinHostPort(host, endpoint.Port())
	plan.Registry.CA, plan.Registry.Username, plan.Registry.Password = string(ca), m.Username, m.Password
	return nil
}

// joinFiles are what a machine that joins fetches: the programs that run here,
// so that all nodes have one version, and the engine's own images.
type joinFiles struct {
	programs []string // files
	images   string   // folder of archives

	mu   sync.Mutex // guards sums: reading a large file twice is dear
	sums map[string]joinSum
}

type joinSum struct {
	size   int64
	at     time.Time
	sha256 string
}

// Files lists them with their checksums.
func (f *joinFiles) Files() ([]agent.JoinFile, error) {
	var files []agent.JoinFile
	for _, program := range f.programs {
		file, err := f.describe(program)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	archives, err := filepath.Glob(filepath.Join(f.images, "*.tar*"))
	if err != nil {
		return nil, fmt.Errorf("looking for images: %w", err)
	}
	for _, archive := range archives {
		file, err := f.describe(archive)
		if err != nil {
			return nil, err
		}
		file.Image = true
		files = append(files, file)
	}
	return files, nil
}

func (f *joinFiles) describe(path string) (agent.JoinFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(path)
	if err != nil {
		return agent.JoinFile{}, fmt.Errorf("reading what a node needs: %w", err)
	}
	sum, known := f.sums[path]
	if !known || sum.size != info.Size() || !sum.at.Equal(info.ModTime()) {
		if sum, err = digest(path, info); err != nil {
			return agent.JoinFile{}, err
		}
		if f.sums == nil {
			f.sums = map[string]joinSum{}
		}
		f.sums[path] = sum
	}
	return agent.JoinFile{Name: filepath.Base(path), SHA256: sum.sha256, Size: sum.size}, nil
}

func digest(path string, info os.FileInfo) (joinSum, error) {
	file, err := os.Open(path)
	if err != nil {
		return joinSum{}, fmt.Errorf("reading what a node needs: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return joinSum{}, fmt.Errorf("reading what a node needs: %w", err)
	}
	return joinSum{size: info.Size(), at: info.ModTime(), sha256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Open opens one by its name.
func (f *joinFiles) Open(name string) (io.ReadSeekCloser, error) {
	for _, program := range f.programs {
		if filepath.Base(program) == name {
			return openJoinFile(program)
		}
	}
	return openJoinFile(filepath.Join(f.images, filepath.Base(name)))
}

func openJoinFile(path string) (io.ReadSeekCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening what a node needs: %w", err)
	}
	return file, nil
}

// interfaceAddresses are this machine's own, for certificates that other
// machines check.
func interfaceAddresses() []string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok && !prefix.IP.IsLoopback() && !prefix.IP.IsLinkLocalUnicast() {
			list = append(list, prefix.IP.String())
		}
	}
	return list
}
