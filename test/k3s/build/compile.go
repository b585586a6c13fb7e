package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

const (
	version    = "v1.36.3+k3s0-standin"
	components = "k8s.io/component-base/version"
	tags       = "sqlite_omit_load_extension,no_btrfs,no_devmapper,no_zfs"
)

// A program is one compiler run.
type program struct {
	name string // its part of the progress messages, and its file
	pkg  string
	into string // the folder of the payload it goes to
}

var kube = program{"kube", "./cmd/k3s", ""}

var parts = []program{
	{"containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "bin"},
	{"bridge", "github.com/containernetworking/plugins/plugins/main/bridge", "bin"},
	{"host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local", "bin"},
	{"loopback", "github.com/containernetworking/plugins/plugins/main/loopback", "bin"},
	{"portmap", "github.com/containernetworking/plugins/plugins/meta/portmap", "bin"},
	{"coredns", "./cmd/coredns", "images"},
	{"metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", "images"},
	{"local-path-provisioner", "github.com/rancher/local-path-provisioner", "images"},
	{"pause", "./cmd/pause", "images"},
}

func compile(out string, p program) error {
	ldflags := "-s -w" +
		" -X " + components + ".gitVersion=" + version +
		" -X " + components + ".gitMajor=1 -X " + components + ".gitMinor=36 -X " + components + ".gitTreeState=clean" +
		" -X hks.dev/hks/test/k3s/internal/payload.Version=" + version
	if p.into == "images" {
		// These run in empty images. The others aren't static: the C library of the host looks up users for them, and
		// a static one crashes at that.
		ldflags += " -linkmode external -extldflags -static"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", ldflags, "-o", out, p.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	err := withProgress("building "+p.name, cmd.Run)
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", p.name, err, messages.String())
	}
	return nil
}

// withProgress shows that something long is still going on.
func withProgress(what string, do func() error) error {
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- do() }()
	every := time.NewTicker(20 * time.Second)
	defer every.Stop()
	for {
		select {
		case err := <-done:
			if err == nil && time.Since(start) > time.Second {
				say("%s took %s", what, time.Since(start).Round(time.Second))
			}
			return err
		case <-every.C:
			say("%s... %s", what, time.Since(start).Round(time.Second))
		}
	}
}
