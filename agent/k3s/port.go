package k3s

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"errors"

	"github.com/prometheus/procfs"
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

// listening is TCP_LISTEN of the kernel's socket tables, proc_net_tcp(5).
const listening = 10

// PortHolder tells who listens on a TCP port of this machine; nil is nobody.
func PortHolder(port int) (*Holder, error) {
	proc, err := procfs.NewFS(procfs.DefaultMountPoint)
	if err != nil {
		return nil, fmt.Errorf("reading processes: %w", err)
	}
	for _, table := range []func() (procfs.NetTCP, error){proc.NetTCP, proc.NetTCP6} {
		sockets, err := table()
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, fmt.Errorf("reading sockets: %w", err)
		}
		for _, socket := range sockets {
			if socket.St == listening && socket.LocalPort == uint64(port) {
				return socketHolder(socket.Inode)
			}
		}
	}
	return nil, nil
}

// socketHolder looks for the process with the socket of an inode.
func socketHolder(inode uint64) (*Holder, error) {
	want := fmt.Sprintf("socket:[%d]", inode)
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
