package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// makePort connects the sandbox to a bridge of the place it is started from: it becomes a second machine on that
// network, whose way out is the bridge itself. undo is never nil.
func makePort(bridge, address string) (undo func() error, n network, err error) {
	undo = func() error { return nil }
	found, err := net.InterfaceByName(bridge)
	if err != nil {
		return undo, n, fmt.Errorf("the bridge %s: %w", bridge, err)
	}
	addresses, err := found.Addrs()
	if err != nil {
		return undo, n, fmt.Errorf("the bridge %s: %w", bridge, err)
	}
	_, subnet, err := net.ParseCIDR(address)
	if err != nil {
		return undo, n, err
	}
	for _, a := range addresses {
		if own, ok := a.(*net.IPNet); ok && subnet.Contains(own.IP) {
			n.Gateway = own.IP.String()
		}
	}
	if n.Gateway == "" {
		return undo, n, errors.New("the bridge has no address in the network of " + address)
	}
	id := fmt.Sprint(os.Getpid())
	outer, inner := "hksb"+id, "hksi"+id
	n.Address, n.Link = address, inner
	for _, s := range [][]string{
		{"link", "add", outer, "type", "veth", "peer", "name", inner}, {"link", "set", outer, "master", bridge}, {"link", "set", outer, "up"},
	} {
		if err := run("ip", s...); err != nil {
			return undo, n, err
		}
		undo = func() error {
			if _, err := net.InterfaceByName(outer); err != nil {
				return nil // went with the sandbox
			}
			return run("ip", "link", "del", outer)
		}
	}
	return undo, n, nil
}
