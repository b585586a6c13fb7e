package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// callLimit bounds one command that sets something up.
const callLimit = 30 * time.Second

const forwarding = "/proc/sys/net/ipv4/ip_forward"

// Network is a bridge with a private range, whose hosts reach what the machine
// reaches.
type Network struct {
	Address string // of the machine on the bridge, where the tests listen

	bridge string
	prefix string // "10.98.N."
	undo   []func() error
}

// NewNetwork makes a network. Close takes it away.
func NewNetwork(ctx context.Context) (n *Network, err error) {
	n = &Network{bridge: fmt.Sprintf("hkshosts%d", os.Getpid()%1000000)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("making a network of hosts: %w", err), n.Close())
		}
	}()
	if n.prefix, err = freePrefix(); err != nil {
		return n, err
	}
	n.Address = n.prefix + "1"
	if err := run(ctx, nil, "ip", "link", "add", n.bridge, "type", "bridge"); err != nil {
		return n, err
	}
	n.undo = append(n.undo, func() error { return run(context.WithoutCancel(ctx), nil, "ip", "link", "del", n.bridge) })
	for _, args := range [][]string{{"address", "add", n.Address + "/24", "dev", n.bridge}, {"link", "set", n.bridge, "up"}} {
		if err := run(ctx, nil, "ip", args...); err != nil {
			return n, err
		}
	}
	rules := fmt.Sprintf("table ip %s {\n chain out {\n  type nat hook postrouting priority 100;\n  ip saddr %s0/24 oifname != %q masquerade\n }\n}\n", n.bridge, n.prefix, n.bridge)
	if err := run(ctx, strings.NewReader(rules), "nft", "-f", "-"); err != nil {
		return n, err
	}
	n.undo = append(n.undo, func() error {
		return run(context.WithoutCancel(ctx), nil, "nft", "delete", "table", "ip", n.bridge)
	})
	before, err := os.ReadFile(forwarding)
	if err != nil {
		return n, err
	}
	if strings.TrimSpace(string(before)) == "0" {
		if err := os.WriteFile(forwarding, []byte("1"), 0o644); err != nil {
			return n, err
		}
		n.undo = append(n.undo, func() error { return os.WriteFile(forwarding, before, 0o644) })
	}
	return n, nil
}

// Close takes the network away; its hosts must be gone.
func (n *Network) Close() error {
	var all error
	for i := len(n.undo) - 1; i >= 0; i-- {
		all = errors.Join(all, n.undo[i]())
	}
	n.undo = nil
	return all
}

// freePrefix finds a 10.98.N that no interface of the machine is in.
func freePrefix() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for i := range 256 {
		candidate, taken := fmt.Sprintf("10.98.%d.", i), false
		for _, a := range addresses {
			taken = taken || strings.HasPrefix(a.String(), candidate)
		}
		if !taken {
			return candidate, nil
		}
	}
	return "", errors.New("no free 10.98.N.0/24")
}

// run runs a command of the machine.
func run(ctx context.Context, in *strings.Reader, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	if in != nil {
		cmd.Stdin = in
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
