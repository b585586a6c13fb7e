package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/klog/v2"

	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/gateway"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/systemd"
)

// stopWithin bounds a stop; a little more than the gateway's own time to drain.
const stopWithin = 25 * time.Second

// The live heap is a few megabytes, so the collector would run many times a
// second under load. These let it take more memory then, within a bound.
const (
	gcPercent   = 300
	memoryLimit = 48 << 20
)

// run serves until ctx ends, then stops gracefully.
func run(ctx context.Context, root string) error {
	sockets := systemd.InheritedSockets()
	cfg, err := config.Load(root, os.Getenv)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	log := cfg.Log.Logger(os.Stderr)
	klog.SetSlogLogger(log.With("from", "client-go")) // process-wide, as klog is
	paths := cfg.Paths()
	acme := cfg.Gateway.ACME
	if acme.Off() {
		acme.Directory = ""
	}
	g, err := gateway.New(gateway.Config{
		ACME:    gateway.ACME{Directory: acme.Directory, Email: acme.Email, CA: acme.CA, Resolver: acme.Resolver},
		Sockets: sockets,
		HTTP:    cfg.Gateway.HTTP, HTTPS: cfg.Gateway.HTTPS,
		State: paths.GatewayState(), Socket: paths.GatewaySocket(), Claims: paths.FunctionSocket(), Kubeconfig: paths.GatewayKubeconfig(),
		AccessLog: paths.Logs("access.log"), Settings: paths.ConfigFile(),
		Succeeds: os.Getenv(process.Succeeds) != "",
		LogLevel: cfg.Log.Level, LogFormat: cfg.Log.Format, Logger: log,
	})
	if err != nil {
		return err
	}
	if err := g.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	log.Info("stopping; requests under way may end", "within", stopWithin)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return g.Stop(ending)
}
