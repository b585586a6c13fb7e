package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

const uplink = "uplink"

// A network is the sandbox's side of its uplink. Without Link it leads nowhere: a node finds an address and a default
// route, and what is sent there is lost.
type network struct {
	Address, Gateway string
	Link             string // the interface that is handed over, for --nat
}

func (n network) host() string { a, _, _ := strings.Cut(n.Address, "/"); return a }

// hand moves the uplink into the sandbox.
func (n network) hand(pid int) error {
	if n.Link == "" {
		return nil
	}
	return run("ip", "link", "set", n.Link, "netns", strconv.Itoa(pid), "name", uplink)
}

// up brings the interfaces up, inside.
func (n network) up() error {
	steps := [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", n.Address, "dev", uplink},
		{"link", "set", uplink, "up"},
		{"route", "add", "default", "via", n.Gateway, "dev", uplink},
	}
	if n.Link == "" {
		steps = append([][]string{
			{"link", "add", uplink, "type", "veth", "peer", "name", uplink + "-end"},
			{"link", "set", uplink + "-end", "up"},
		}, steps...)
	}
	for _, s := range steps {
		if err := run("ip", s...); err != nil {
			return err
		}
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"} {
		if err := os.WriteFile("/proc/sys/"+name, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
	}
	return nil
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
