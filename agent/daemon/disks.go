package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/node"
	"hks.dev/hks/agent/volume"
)

// diskKeys are the appliance's own side of what it and its nodes know each
// other by. They are made when they are first needed.
type diskKeys struct {
	path string

	mu  sync.Mutex // guards own
	own agent.DiskKeys
}

func newDiskKeys(path string) (*diskKeys, error) {
	k := &diskKeys{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keys for disks: %w", err)
	}
	if err := json.Unmarshal(data, &k.own); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return k, nil
}

func (k *diskKeys) get() (agent.DiskKeys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.own.Key != "" {
		return k.own, nil
	}
	var made agent.DiskKeys
	var err error
	if made.Certificate, made.Key, err = disk.NewKeys("appliance", time.Now()); err != nil {
		return agent.DiskKeys{}, err
	}
	data, err := json.Marshal(made)
	if err != nil {
		return agent.DiskKeys{}, fmt.Errorf("keeping the keys for disks: %w", err)
	}
	if err := errors.Join(os.WriteFile(k.path+".new", data, 0o600), os.Rename(k.path+".new", k.path)); err != nil {
		return agent.DiskKeys{}, fmt.Errorf("keeping the keys for disks: %w", err)
	}
	k.own = made
	return made, nil
}

// forNode makes the keys of a machine that joins.
func (k *diskKeys) forNode(name string) (agent.DiskKeys, error) {
	own, err := k.get()
	if err != nil {
		return agent.DiskKeys{}, err
	}
	keys := agent.DiskKeys{Peer: own.Certificate}
	keys.Certificate, keys.Key, err = disk.NewKeys(name, time.Now())
	return keys, err
}

// farDisks are the disks of the machines that have joined.
type farDisks struct {
	nodes *node.Manager
	keys  *diskKeys
	dir   string

	mu  sync.Mutex // guards all
	all map[string]farDisk
}

type farDisk struct {
	address, certificate string
	disks                *disk.Remote
}

func newFarDisks(nodes *node.Manager, keys *diskKeys, dir string) *farDisks {
	return &farDisks{nodes: nodes, keys: keys, dir: dir, all: map[string]farDisk{}}
}

// of returns those of one node; they are made anew when it has joined again.
func (f *farDisks) of(ctx context.Context, name string) (volume.Disks, error) {
	address, certificate, err := f.nodes.Disks(ctx, name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.all[name]
	if ok && known.address == address && known.certificate == certificate {
		return known.disks, nil
	}
	if ok {
		known.disks.Close()
		delete(f.all, name)
	}
	keys, err := f.keys.get()
	if err != nil {
		return nil, err
	}
	keys.Peer = certificate
	remote, err := disk.NewRemote(disk.RemoteConfig{Node: name, Address: address, Dir: f.dir, Keys: keys})
	if err != nil {
		return nil, err
	}
	f.all[name] = farDisk{address: address, certificate: certificate, disks: remote}
	return remote, nil
}
