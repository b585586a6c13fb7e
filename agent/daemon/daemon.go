// Package daemon is the one place that knows everyone: it builds the agent's
// parts, connects those that may not know each other, starts them in order
// and stops them in reverse.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/systemd"
)

// Config is what the process was started with.
type Config struct {
	Settings config.Config
	Version  string
	Log      *slog.Logger
	Environ  []string // of this process; k3s gets what it needs of it
	Notifier *systemd.Notifier
	Sockets  *systemd.Sockets // that systemd listens on for the agent; nil for none
}

// stopWithin bounds a stop of everything.
const stopWithin = 20 * time.Second

// Daemon is the agent.
type Daemon struct {
	cfg   Config
	parts *parts
}

// New builds every part. Nothing is opened, dialled or started.
func New(cfg Config) (*Daemon, error) {
	p, err := assemble(cfg)
	if err != nil {
		return nil, err
	}
	return &Daemon{cfg: cfg, parts: p}, nil
}

// component is one part's beginning and end.
type component struct {
	name  string
	start func(context.Context) error
	stop  func(context.Context) error
}

// Run starts everything, serves until ctx ends or the API fails, and stops.
// k3s, the gateway and with them all apps go on running.
func (d *Daemon) Run(ctx context.Context) error {
	started, err := start(ctx, d.parts.components())
	if err == nil {
		err = d.serve(ctx)
	}
	if told := d.cfg.Notifier.Stopping(context.WithoutCancel(ctx)); told != nil {
		d.cfg.Log.Warn("telling the service manager", "error", told)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, stop(ending, started))
}

// serve tells the service manager that the agent is there, and waits. The
// agent is there as soon as its API answers: the cluster may take longer, and
// /api/system tells how far it is.
func (d *Daemon) serve(ctx context.Context) error {
	if err := d.cfg.Notifier.Ready(ctx); err != nil {
		return err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := make(chan error, 1)
	go func() { watchdog <- d.cfg.Notifier.Watchdog(watching, d.parts.store.Ping) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.parts.api.Failed():
			return err
		case err := <-watchdog:
			if err != nil {
				return err
			}
			watchdog = nil // there is none
		}
	}
}

// start starts components in order and returns those that were started.
func start(ctx context.Context, all []component) ([]component, error) {
	for i, c := range all {
		if err := c.start(ctx); err != nil {
			return all[:i], fmt.Errorf("starting %s: %w", c.name, err)
		}
	}
	return all, nil
}

// stop stops components in reverse; each gets its chance.
func stop(ctx context.Context, started []component) error {
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		if err := started[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", started[i].name, err))
		}
	}
	return errors.Join(errs...)
}
