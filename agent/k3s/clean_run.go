package k3s

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Places below /run that all of a machine's containerds share.
const (
	sharedFolder  = "/run/containerd"
	runcFolder    = "/run/containerd/runc/k8s.io"
	socketsFolder = "/run/containerd/s"
	nriSocket     = "/run/nri/nri.sock"
)

// removeRunFiles removes what k3s keeps below /run about containers that are
// gone, as a reboot would. In folders that are shared with other containerds
// it removes only what k3s's own notes name.
func (c *Cleaner) removeRunFiles(context.Context) error {
	bundles, err := filepath.Glob(filepath.Join(runFolder, "containerd/io.containerd.runtime.v2.task/k8s.io/*"))
	if err != nil {
		return err
	}
	trees := []string{runFolder}
	var failed []error
	for _, bundle := range bundles {
		trees = append(trees, filepath.Join(runcFolder, filepath.Base(bundle)))
		if socket := shimSocket(bundle); socket != "" {
			failed = append(failed, ignoreMissing(os.Remove(socket)))
		}
	}
	failed = append(failed, c.RemoveTrees(trees...), removeDeadSocket(nriSocket))
	for _, dir := range []string{runcFolder, filepath.Dir(runcFolder), socketsFolder, sharedFolder, filepath.Dir(nriSocket), netnsFolder} {
		failed = append(failed, removeEmpty(dir))
	}
	return errors.Join(failed...)
}

// shimSocket returns the socket of a container's shim, which the shim wrote
// into the container's folder.
func shimSocket(bundle string) string {
	var address string
	if data, err := os.ReadFile(filepath.Join(bundle, "bootstrap.json")); err == nil {
		var note struct {
			Address string `json:"address"`
		}
		if json.Unmarshal(data, &note) == nil {
			address = note.Address
		}
	} else if data, err := os.ReadFile(filepath.Join(bundle, "address")); err == nil { // older shims
		address = strings.TrimSpace(string(data))
	}
	path := filepath.Clean(strings.TrimPrefix(address, "unix://"))
	if filepath.Dir(path) != socketsFolder {
		return ""
	}
	return path
}

// removeDeadSocket removes a socket that nobody listens on.
func removeDeadSocket(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return conn.Close() // someone else's
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ignoreMissing(os.Remove(path))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
