package main

import (
	"context"
	"os"
	"runtime/debug"

	"k8s.io/klog/v2"

	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/daemon"
	"hks.dev/hks/agent/systemd"
)

// gcPercent trades processor time, of which the agent uses next to none, for
// memory, which belongs to the owner's apps.
const gcPercent = 50

// run reads the settings and runs the agent, or the agent of a node, until ctx
// ends.
func run(ctx context.Context, root string, node bool) error {
	sockets := systemd.InheritedSockets()
	settings, err := config.Load(root, os.Getenv)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	log := settings.Log.Logger(os.Stderr)
	klog.SetSlogLogger(log.With("from", "client-go")) // process-wide, as klog is
	notifier, err := systemd.NewNotifier(os.Getenv, os.Getpid())
	if err != nil {
		return err
	}
	cfg := daemon.Config{Settings: settings, Version: version, Log: log, Environ: os.Environ(), Notifier: notifier, Sockets: sockets}
	if node {
		n, err := daemon.NewNode(cfg)
		if err != nil {
			return err
		}
		return n.Run(ctx)
	}
	d, err := daemon.New(cfg)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}
