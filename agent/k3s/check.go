package k3s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

// versionGrammar is the first line of k3s --version.
var versionGrammar = regexp.MustCompile(`^k3s version (v[0-9]+\.[0-9]+\.[0-9]+[^\s]*)`)

// Bounds of the checks before a start.
const (
	minFree = 2 << 30 // bytes on the data folder's file system
	apiPort = 6443
)

// checkBinary asks the binary which version it is; anything that is not k3s is
// refused in words that name the mend.
func (e *Engine) checkBinary(ctx context.Context) (string, error) {
	binary := e.cfg.Binary
	info, err := os.Stat(binary)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", binaryError(binary, "is not there", err)
	case err != nil:
		return "", binaryError(binary, "can't be used", err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return "", binaryError(binary, "is not an executable file", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, e.pace.version)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--version")
	cmd.Env = e.cfg.environment()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", binaryError(binary, fmt.Sprintf("did not tell its version within %s", e.pace.version), ctx.Err())
	}
	if err != nil {
		return "", binaryError(binary, "does not run on this machine: "+err.Error(), err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	match := versionGrammar.FindSubmatch(line)
	if match == nil {
		return "", binaryError(binary, "is not k3s: its --version does not say so", nil)
	}
	return string(match[1]), nil
}

func binaryError(binary, what string, cause error) *agent.Error {
	return &agent.Error{
		Code:    agent.CodeInvalid,
		Message: fmt.Sprintf("the k3s binary %s %s", binary, what),
		Fix:     "name a k3s binary by HKS_K3S_BINARY or by k3s.binary in config.yaml; make k3s builds a stand-in where the release can't be reached",
		Details: map[string]any{"field": "k3s.binary", "value": binary},
		Cause:   cause,
	}
}

// checkSpace refuses to start on a full disk: k3s's database would be hurt.
func (e *Engine) checkSpace() error {
	dir := e.cfg.DataDir
	for {
		free, err := e.freeSpace(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir) // the folder is made later, on this file system
			continue
		}
		if err != nil {
			return fmt.Errorf("measuring the free space of %s: %w", dir, err)
		}
		if free >= minFree {
			return nil
		}
		return &agent.Error{
			Code:    agent.CodeNoSpace,
			Message: fmt.Sprintf("the file system of %s has %d MiB free, Kubernetes needs %d MiB to start", e.cfg.DataDir, free>>20, minFree>>20),
			Fix:     fmt.Sprintf("free some space on it (df -h %s shows it), then start again", dir),
			Details: map[string]any{"free": free, "limit": uint64(minFree), "path": dir},
		}
	}
}

func freeSpace(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// checkPort refuses to start beside another holder of the API server's port.
func (e *Engine) checkPort() error {
	port := apiPort
	if extra, ok := e.cfg.Extra["https-listen-port"]; ok {
		n, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(extra)))
		if err != nil {
			return extraError("https-listen-port", fmt.Sprintf("%v is not a port", extra), "give a number")
		}
		port = n
	}
	holder, err := PortHolder(port)
	if err != nil {
		return fmt.Errorf("checking port %d: %w", port, err)
	}
	if holder == nil {
		return nil
	}
	return &agent.Error{
		Code:    agent.CodeConflict,
		Message: fmt.Sprintf("port %d, which the Kubernetes API needs, is in use by %s", port, holder),
		Fix:     fmt.Sprintf("stop that process, or set https-listen-port under k3s.extra in config.yaml to a free port (ss -ltnp 'sport = :%d' shows the process)", port),
		Details: map[string]any{"port": port, "pid": holder.PID, "command": holder.Command},
	}
}
