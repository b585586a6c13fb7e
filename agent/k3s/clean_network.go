package k3s

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// removeNamespaces removes the network namespaces that CNI made.
func (c *Cleaner) removeNamespaces(context.Context) error {
	files, err := ownNamespaces()
	if err != nil {
		return err
	}
	var failed []error
	for _, file := range files {
		err := unix.Unmount(file, unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) { // not mounted any more
			failed = append(failed, fmt.Errorf("%s: %w", file, err))
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (c *Cleaner) leftNamespaces(context.Context) ([]string, error) {
	files, err := ownNamespaces()
	var left []string
	for _, file := range files {
		left = append(left, "network namespace "+filepath.Base(file))
	}
	return left, err
}

func ownNamespaces() ([]string, error) { return filepath.Glob(filepath.Join(netnsFolder, "cni-*")) }

// removeLinks removes the pods' bridge with its ports and the overlay's ends.
func (c *Cleaner) removeLinks(context.Context) error {
	links, err := ownLinks()
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range links {
		if err := deleteLink(name); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

func (c *Cleaner) leftLinks(context.Context) ([]string, error) {
	links, err := ownLinks()
	if err != nil {
		return nil, fmt.Errorf("looking for interfaces: %w", err)
	}
	var left []string
	for _, name := range links {
		left = append(left, "interface "+name)
	}
	return left, nil
}

// bridge is the interface that CNI puts pods on.
const bridge = "cni0"

// ownLinks lists the ports of the bridge first.
func ownLinks() ([]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var ports, others []string
	for _, i := range interfaces {
		master, err := os.Readlink(filepath.Join("/sys/class/net", i.Name, "master"))
		switch {
		case err == nil && filepath.Base(master) == bridge:
			ports = append(ports, i.Name)
		case ownLink(i.Name):
			others = append(others, i.Name)
		}
	}
	return append(ports, others...), nil
}

// ownLink knows the names of k3s's interfaces.
func ownLink(name string) bool {
	switch name {
	case bridge, "kube-ipvs0", "flannel-wg", "flannel-wg-v6":
		return true
	}
	return strings.HasPrefix(name, "flannel.") || strings.HasPrefix(name, "flannel-v6.")
}

// deleteLink asks the kernel to remove an interface: RTM_DELLINK, rtnetlink(7).
func deleteLink(name string) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil // its other end is gone, and it with it
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing is pending
	limit := unix.NsecToTimeval(int64(5 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return err
	}
	request := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_DELLINK)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+4:], uint32(link.Index))
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel's answer is not understood")
	}
	code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]))
	if code == 0 || unix.Errno(-code) == unix.ENODEV {
		return nil
	}
	return unix.Errno(-code)
}
