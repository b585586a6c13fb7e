package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hks.dev/hks/agent/hosts"
)

// kernelSettings are what the kubelet, kube-proxy and the CNI plugins change
// on a machine and nobody changes back.
var kernelSettings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/forwarding", "net/ipv4/conf/all/route_localnet",
	"net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding",
	"net/ipv4/tcp_migrate_req",
	"net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables",
	"net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_tcp_timeout_established",
	"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "net/netfilter/nf_conntrack_tcp_be_liberal",
}

// settingsStep remembers kernel settings before Kubernetes changes them.
type settingsStep struct {
	folder  string // /proc/sys
	journal *Journal
}

func (s *settingsStep) kind() string { return "sysctl" }

func (s *settingsStep) check(context.Context) ([]Change, error) {
	var changes []Change
	for _, name := range kernelSettings {
		if s.journal.Has(s.kind(), name) {
			continue // what it is now may be Kubernetes's doing
		}
		value, err := s.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not known to this kernel
		}
		if err != nil {
			return nil, fmt.Errorf("reading the kernel setting %s: %w", name, err)
		}
		changes = append(changes, Change{Kind: s.kind(), Target: name, Before: &value})
	}
	return changes, nil
}

func (s *settingsStep) read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.folder, name))
	return strings.TrimSpace(string(data)), err
}

// apply does nothing: the change is Kubernetes's own.
func (s *settingsStep) apply(context.Context, Change) error { return nil }

func (s *settingsStep) undo(_ context.Context, c Change) error {
	if c.Before == nil || !filepath.IsLocal(c.Target) {
		return errors.New("the journal does not say what it was")
	}
	value, err := s.read(c.Target)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && value == *c.Before) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.folder, c.Target), []byte(*c.Before), 0o644)
}

// hostsStep takes away the host names that the agent keeps while it runs.
type hostsStep struct {
	file    hosts.File
	journal *Journal
}

func (s *hostsStep) kind() string { return "hosts" }

func (s *hostsStep) check(context.Context) ([]Change, error) {
	if s.journal.Has(s.kind(), s.file.Path) {
		return nil, nil
	}
	return []Change{{Kind: s.kind(), Target: s.file.Path}}, nil
}

// apply does nothing: the agent writes the names.
func (s *hostsStep) apply(context.Context, Change) error { return nil }

func (s *hostsStep) undo(ctx context.Context, _ Change) error {
	if !exists(s.file.Path) {
		return nil
	}
	return s.file.Remove(ctx)
}
