package systemd

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/unit"
)

// Sockets are the listening sockets that systemd holds for this process. They
// stay open while the process is restarted: a connection that comes meanwhile
// waits for the next one. The nil Sockets has none.
type Sockets struct {
	mu    sync.Mutex
	files []*os.File // kept, as a file that is forgotten is closed
}

// InheritedSockets takes what the service manager handed over, sd_listen_fds(3).
// It is called once, before others read the environment.
func InheritedSockets() *Sockets { return &Sockets{files: activation.Files(true)} }

// Listener returns the socket of an address, as net.Listen has them, or false
// when none was handed over. Closing it leaves the socket open at systemd.
func (s *Sockets) Listener(network, address string) (net.Listener, bool, error) {
	file, ok := s.File(network, address)
	if !ok {
		return nil, false, nil
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, false, fmt.Errorf("taking over the socket of %s: %w", address, err)
	}
	return listener, true, nil
}

// File is Listener for those who need the descriptor. It stays ours: it must
// not be closed.
func (s *Sockets) File(network, address string) (*os.File, bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.files {
		listener, err := net.FileListener(file)
		if err != nil {
			continue // a socket of another kind
		}
		found := listener.Addr()
		_ = listener.Close() // a copy, made to ask for the address
		if found.Network() == network && sameAddress(network, found.String(), address) {
			return file, true
		}
	}
	return nil, false
}

func sameAddress(network, have, want string) bool {
	if network == "unix" {
		return have == want
	}
	haveHost, havePort, err1 := net.SplitHostPort(have)
	wantHost, wantPort, err2 := net.SplitHostPort(want)
	if err1 != nil || err2 != nil || havePort != wantPort {
		return false
	}
	open, err := netip.ParseAddr(haveHost)
	if err != nil {
		return false
	}
	if wantHost == "" {
		return open.IsUnspecified()
	}
	asked, err := netip.ParseAddr(wantHost)
	return err == nil && open.Unmap() == asked.Unmap()
}

// ListenStream words an address of net.Listen as systemd.socket(5) has it, and
// false for one that systemd can't open: it looks up no names.
func ListenStream(address string) (string, bool) {
	if strings.HasPrefix(address, "/") {
		return address, !strings.ContainsAny(address, " \t\n%")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return "", false
	}
	if host == "" {
		return port, true // all addresses, of both kinds
	}
	ip, err := netip.ParseAddr(host)
	return address, err == nil && ip.Zone() == ""
}

// SocketOf is the unit of a service's sockets.
func SocketOf(service string) string { return strings.TrimSuffix(service, ".service") + ".socket" }

// SocketText is the content of the unit file of the sockets, empty for a
// service without.
func (u Unit) SocketText() (string, error) {
	if len(u.Listen) == 0 {
		return "", nil
	}
	options := []*unit.UnitOption{unit.NewUnitOption("Unit", "Description", u.Description+", sockets")}
	for _, address := range u.Listen {
		stream, ok := ListenStream(address)
		if !ok {
			return "", fmt.Errorf("unit %s: systemd can't listen on %q", u.Name, address)
		}
		options = append(options, unit.NewUnitOption("Socket", "ListenStream", stream))
	}
	for _, option := range [][2]string{
		{"SocketMode", "0600"}, {"DirectoryMode", "0755"}, {"RemoveOnStop", "yes"},
		{"FreeBind", "yes"}, // at a boot the address may come later
	} {
		options = append(options, unit.NewUnitOption("Socket", option[0], option[1]))
	}
	options = append(options, unit.NewUnitOption("Install", "WantedBy", "sockets.target"))
	text, err := io.ReadAll(unit.Serialize(options))
	if err != nil {
		return "", fmt.Errorf("writing the sockets of %s: %w", u.Name, err)
	}
	return string(text), nil
}
