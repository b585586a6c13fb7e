package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// procfs is where the kernel shows its processes, proc(5).
const procfs = "/proc"

// handle holds one certain process by a pidfd: its number may be given to
// another process one day, the handle never is.
type handle struct {
	pid int
	fd  int
}

// errGone tells that the process meant does not run any more.
var errGone = errors.New("the process is gone")

// openHandle takes hold of the process that r names, or says errGone.
func openHandle(r record, boot string) (*handle, error) {
	if r.Boot != boot {
		return nil, errGone
	}
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", r.PID, err)
	}
	// Only after the handle is held does the comparison mean anything.
	st, err := readStat(r.PID)
	if err != nil || st.start != r.Start || st.dead() {
		_ = unix.Close(fd) // nothing was done with it
		return nil, errGone
	}
	return &handle{pid: r.PID, fd: fd}, nil
}

func (h *handle) close() { _ = unix.Close(h.fd) }

func (h *handle) signal(sig unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return errGone
	}
	return err
}

// wait returns true once the process has ended, false once cancel is readable
// or the time is over. A negative time means for ever.
func (h *handle) wait(cancel int, limit time.Duration) (bool, error) {
	deadline := time.Now().Add(limit)
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	if cancel >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(cancel), Events: unix.POLLIN})
	}
	for {
		timeout := -1
		if limit >= 0 {
			timeout = int(max(0, time.Until(deadline)).Milliseconds())
		}
		n, err := unix.Poll(fds, timeout)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("waiting for process %d: %w", h.pid, err)
		}
		return n > 0 && fds[0].Revents != 0, nil
	}
}

// stat is what is needed of /proc/PID/stat.
type stat struct {
	state   byte
	ppid    int
	session int
	start   uint64
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(filepath.Join(procfs, strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat reads a line of proc(5) stat. The command's name, in parentheses,
// may hold spaces and parentheses itself.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("a process's stat has no command name")
	}
	fields := strings.Fields(string(line[end+1:])) // fields[0] is field 3
	if len(fields) < 20 {
		return stat{}, errors.New("a process's stat is cut short")
	}
	ppid, err1 := strconv.Atoi(fields[1])
	session, err2 := strconv.Atoi(fields[3])
	start, err3 := strconv.ParseUint(fields[19], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return stat{}, fmt.Errorf("reading a process's stat: %w", err)
	}
	return stat{state: fields[0][0], ppid: ppid, session: session, start: start}, nil
}

func bootID() (string, error) {
	data, err := os.ReadFile(filepath.Join(procfs, "sys/kernel/random/boot_id"))
	if err != nil {
		return "", fmt.Errorf("reading the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
