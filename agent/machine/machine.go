// Package machine knows under which name and address the cluster on this
// machine was made, and which ones the machine has now.
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Identity is a machine as its cluster knows it. An empty field is not known.
type Identity struct {
	Node    string `json:"node"`    // in the cluster; it never changes
	Host    string `json:"host"`    // name
	Address string `json:"address"` // by which it reaches others
}

// Now returns the name and address that the machine has. Fixed is an address
// that the settings give the node; it counts when the machine has it.
func Now(fixed string) Identity {
	host, _ := os.Hostname() // empty: not known
	return Identity{Host: strings.ToLower(host), Address: address(fixed)}
}

func address(fixed string) string {
	if fixed != "" && Owns(fixed) {
		return fixed
	}
	// This sends nothing: it only has the kernel choose.
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return only() // no way out
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil || at.Addr().IsLoopback() {
		return ""
	}
	return at.Addr().String()
}

// only is the address of a machine that knows no way out, but has one network.
func only() string {
	links, err := net.Interfaces()
	if err != nil {
		return ""
	}
	found := ""
	for _, link := range links {
		inside := slices.ContainsFunc([]string{"cni", "flannel", "veth", "kube", "docker"}, func(prefix string) bool { return strings.HasPrefix(link.Name, prefix) })
		addresses, err := link.Addrs()
		if err != nil || inside || link.Flags&net.FlagUp == 0 {
			continue
		}
		for _, one := range addresses {
			prefix, ok := one.(*net.IPNet)
			if !ok || prefix.IP.To4() == nil || !prefix.IP.IsGlobalUnicast() {
				continue
			}
			if found != "" {
				return "" // which one is not for us to say
			}
			found = prefix.IP.String()
		}
	}
	return found
}

// Owns tells whether an interface of the machine has an address.
func Owns(address string) bool { return slices.Contains(own(), address) }

func own() []string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, one := range all {
		if prefix, ok := one.(*net.IPNet); ok {
			list = append(list, prefix.IP.String())
		}
	}
	return list
}

// Read returns what was recorded; the zero value when nothing was.
func Read(file string) (Identity, error) {
	var i Identity
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &i)
	}
	if err != nil {
		return i, fmt.Errorf("reading the machine's recorded address: %w", err)
	}
	return i, nil
}

// Write records an identity.
func (i Identity) Write(file string) error {
	data, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("recording the machine's address: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".machine-*")
	if err != nil {
		return fmt.Errorf("recording the machine's address: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("recording the machine's address: %w", err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("recording the machine's address: %w", err)
	}
	return nil
}

// NodeName is the name of the machine's node: the one in the settings, else
// the one that its cluster was made with. Empty: there is no cluster yet, and
// the host's name will do.
func NodeName(setting, file string) string {
	if setting != "" {
		return setting
	}
	i, err := Read(file)
	if err != nil {
		return "" // told by whoever records
	}
	return i.Node
}

// Changed says in words what is other now; empty: nothing, as far as is known.
func (i Identity) Changed(now Identity) string {
	var changed []string
	differ := func(what, before, after string) {
		if before != "" && after != "" && before != after {
			changed = append(changed, fmt.Sprintf("its %s is %s now, not %s", what, after, before))
		}
	}
	differ("address", i.Address, now.Address)
	differ("name", i.Host, now.Host)
	return strings.Join(changed, ", and ")
}
