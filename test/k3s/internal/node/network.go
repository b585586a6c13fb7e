package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// keepNetwork gives the node its pod network (a bridge with the node's part of the cluster's range), routes to the
// other nodes' parts, and the rules that let pods out.
func (n *Node) keepNetwork(ctx context.Context, client kubernetes.Interface) {
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
	}); err != nil {
		log.Printf("level=error msg=\"watching nodes\" error=%q", err)
		return
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	every := time.NewTicker(30 * time.Second)
	defer every.Stop()
	routes := map[string]string{}
	for {
		if err := n.syncNetwork(ctx, nodes.Lister(), routes); err != nil && ctx.Err() == nil {
			log.Printf("level=error msg=\"pod network\" error=%q", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-every.C:
		}
	}
}

// syncNetwork makes the machine agree with the nodes; routes are the ones made before.
func (n *Node) syncNetwork(ctx context.Context, lister listers.NodeLister, routes map[string]string) error {
	all, err := lister.List(labels.Everything())
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for _, node := range all {
		switch {
		case node.Spec.PodCIDR == "":
		case node.Name == n.cfg.NodeName:
			if err := n.writeCNI(node.Spec.PodCIDR); err != nil {
				return err
			}
		default:
			if ip := internalIP(node); ip != "" {
				wanted[node.Spec.PodCIDR] = ip
			}
		}
	}
	for cidr, via := range wanted {
		if routes[cidr] != via {
			if err := run(ctx, "ip", "route", "replace", cidr, "via", via); err != nil {
				return err
			}
			routes[cidr] = via
		}
	}
	for cidr := range routes {
		if wanted[cidr] == "" {
			_ = run(ctx, "ip", "route", "del", cidr)
			delete(routes, cidr)
		}
	}
	return n.letPodsOut(ctx)
}

func internalIP(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && !strings.Contains(a.Address, ":") {
			return a.Address
		}
	}
	return ""
}

func (n *Node) writeCNI(cidr string) error {
	conf := map[string]any{
		"cniVersion": "1.0.0", "name": "cbr0",
		"plugins": []any{
			map[string]any{
				"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "forceAddress": true, "hairpinMode": true, "mtu": n.machine.mtu,
				"ipam": map[string]any{"type": "host-local", "ranges": []any{[]any{map[string]any{"subnet": cidr}}}},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}
	data, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(n.cniDir(), "10-flannel.conflist")
	if old, err := os.ReadFile(file); err == nil && string(old) == string(data) {
		return nil
	}
	// containerd heeds a rename within the folder, and not one into it.
	tmp := filepath.Join(n.cniDir(), ".10-flannel.tmp")
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// letPodsOut writes the rules flannel writes, under flannel's names, so that what cleans up after k3s finds them.
func (n *Node) letPodsOut(ctx context.Context) error {
	for _, r := range []struct {
		table, chain, from string
		rules              [][]string
	}{
		{"nat", "FLANNEL-POSTRTG", "POSTROUTING", [][]string{
			{"-s", n.cfg.ClusterCIDR, "-d", n.cfg.ClusterCIDR, "-m", "comment", "--comment", "flanneld masq", "-j", "RETURN"},
			{"-s", n.cfg.ClusterCIDR, "!", "-d", "224.0.0.0/4", "-m", "comment", "--comment", "flanneld masq", "-j", "MASQUERADE"},
		}},
		{"filter", "FLANNEL-FWD", "FORWARD", [][]string{
			{"-s", n.cfg.ClusterCIDR, "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"},
			{"-d", n.cfg.ClusterCIDR, "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"},
		}},
	} {
		table := []string{"-w", "5", "-t", r.table}
		if run(ctx, "iptables", join(table, "-S", r.chain)...) != nil {
			if err := run(ctx, "iptables", join(table, "-N", r.chain)...); err != nil {
				return err
			}
		}
		for _, rule := range append([][]string{{}}, r.rules...) {
			chain := r.chain
			if len(rule) == 0 {
				chain, rule = r.from, []string{"-m", "comment", "--comment", "flanneld", "-j", r.chain}
			}
			if run(ctx, "iptables", join(table, join([]string{"-C", chain}, rule...)...)...) == nil {
				continue
			}
			if err := run(ctx, "iptables", join(table, join([]string{"-A", chain}, rule...)...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func join(a []string, b ...string) []string { return append(append([]string{}, a...), b...) }

func run(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
