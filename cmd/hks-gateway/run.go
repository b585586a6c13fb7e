package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/klog/v2"

	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/gateway"
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
	cfg, err := config.Load(root, os.Getenv)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	log := logger(os.Stderr, cfg.Log)
	klog.SetSlogLogger(log.With("from", "client-go")) // process-wide, as klog is
	paths := cfg.Paths()
	g, err := gateway.New(gateway.Config{
		HTTP: cfg.Gateway.HTTP, HTTPS: cfg.Gateway.HTTPS,
		State: paths.GatewayState(), Socket: paths.GatewaySocket(), Kubeconfig: paths.GatewayKubeconfig(),
		AccessLog: paths.Logs("access.log"), Settings: paths.ConfigFile(),
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

// logger writes the process's own log as the settings ask.
func logger(to io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
