package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// clusterNetworks holds k3s's networks of pods and of services.
const clusterNetworks = "10.42.0.0/15"

const forwarding = "/proc/sys/net/ipv4/ip_forward"

// makeNAT makes a pair of interfaces and masquerades what comes out of the sandbox's. undo is never nil.
func makeNAT() (undo func() error, n network, err error) {
	var steps []func() error
	undo = func() error {
		var all error
		for i := len(steps) - 1; i >= 0; i-- {
			all = errors.Join(all, steps[i]())
		}
		return all
	}
	subnet, err := freeSubnet()
	if err != nil {
		return undo, n, err
	}
	id := fmt.Sprint(os.Getpid())
	outer, inner := "hksb"+id, "hksi"+id
	n = network{Address: subnet + ".2/24", Gateway: subnet + ".1", Link: inner}
	if err := run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner); err != nil {
		return undo, n, err
	}
	steps = append(steps, func() error {
		if _, err := net.InterfaceByName(outer); err != nil {
			return nil // went with the sandbox
		}
		return run("ip", "link", "del", outer)
	})
	for _, s := range [][]string{{"address", "add", n.Gateway + "/24", "dev", outer}, {"link", "set", outer, "up"}} {
		if err := run("ip", s...); err != nil {
			return undo, n, err
		}
	}
	table := "hks_sandbox_" + id
	// What is meant for a pod or a service never leaves the machine, not even while the cluster's own routes are away.
	rules := fmt.Sprintf("table ip %s {\n chain out {\n  type nat hook postrouting priority 100;\n  ip saddr %s.0/24 oifname != %q masquerade\n }\n"+
		" chain keep {\n  type filter hook forward priority 0;\n  iifname %q ip daddr %s drop\n }\n}\n", table, subnet, outer, outer, clusterNetworks)
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return undo, n, fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	steps = append(steps, func() error { return run("nft", "delete", "table", "ip", table) })
	before, err := os.ReadFile(forwarding)
	if err != nil {
		return undo, n, err
	}
	if strings.TrimSpace(string(before)) == "0" {
		if err := os.WriteFile(forwarding, []byte("1"), 0o644); err != nil {
			return undo, n, err
		}
		steps = append(steps, func() error { return os.WriteFile(forwarding, []byte("0"), 0o644) })
	}
	return undo, n, nil
}

// freeSubnet finds a 10.99.x no interface of the machine is in.
func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for i := range 256 {
		candidate := fmt.Sprintf("10.99.%d", i)
		taken := false
		for _, a := range addrs {
			taken = taken || strings.HasPrefix(a.String(), candidate+".")
		}
		if !taken {
			return candidate, nil
		}
	}
	return "", errors.New("no free 10.99.x.0/24")
}
