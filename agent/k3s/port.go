package k3s

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a process that listens on a port.
type Holder struct {
	PID     int    // 0: a process that can't be seen from here
	Command string // its short name
}

func (h *Holder) String() string {
	if h.PID == 0 {
		return "a process that can't be seen from here"
	}
	return fmt.Sprintf("%s (pid %d)", h.Command, h.PID)
}

// PortHolder tells who listens on a TCP port of this machine; nil is nobody.
func PortHolder(port int) (*Holder, error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, fmt.Errorf("reading sockets: %w", err)
		}
		if inode := listenerOf(string(data), port); inode != "" {
			return socketHolder(inode)
		}
	}
	return nil, nil
}

// listenerOf finds the inode of the socket that listens on a port in one of
// the kernel's tables, proc_net_tcp(5); "" is none.
func listenerOf(table string, port int) string {
	const listening = "0A" // TCP_LISTEN
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		// sl local_address rem_address st queues timer retransmits uid timeout inode
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], suffix) {
			return fields[9]
		}
	}
	return ""
}

// socketHolder looks for the process with the socket of an inode.
func socketHolder(inode string) (*Holder, error) {
	want := "socket:[" + inode + "]"
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, fmt.Errorf("reading processes: %w", err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != want {
			continue // gone meanwhile, or something else
		}
		folder := strings.Split(link, "/")[2]
		pid, err := strconv.Atoi(folder)
		if err != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", folder, "comm"))
		if err != nil {
			continue
		}
		return &Holder{PID: pid, Command: strings.TrimSpace(string(name))}, nil
	}
	return &Holder{}, nil
}
