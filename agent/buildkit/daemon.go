package buildkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Daemon is the BuildKit daemon as the agent sees it. It runs while there are
// builds and for some minutes after the last. It is safe for concurrent use.
type Daemon struct {
	cfg Config

	op chan struct{} // holds one token: one start or stop at a time

	mu    sync.Mutex  // guards what follows
	users int         // builds under way
	idle  *time.Timer // stops the daemon; nil while it is in use or stopped
}

// New checks the settings.
func New(cfg Config) (*Daemon, error) {
	for name, value := range map[string]string{
		"binary": cfg.Binary, "folder": cfg.Dir, "socket": cfg.Socket, "settings file": cfg.SettingsFile, "revision file": cfg.RevisionFile,
	} {
		if value == "" {
			return nil, fmt.Errorf("the builder needs a %s", name)
		}
	}
	if cfg.Runner == nil || cfg.Registry == nil || cfg.Place == nil {
		return nil, errors.New("the builder needs a runner, a registry and a place")
	}
	if cfg.StartTimeout <= 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 10 * time.Minute
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Daemon{cfg: cfg, op: make(chan struct{}, 1)}, nil
}

// Bounds of what nobody asked for: a stop, and going on with a daemon that
// runs while the agent starts.
const (
	stopLimit     = time.Minute
	takeOverLimit = 5 * time.Second
)

// Start goes on with a daemon that an earlier agent left running; without one
// it does nothing, as the first build starts it. A daemon that can't be taken
// over is no reason not to start the agent: Part tells.
func (d *Daemon) Start(ctx context.Context) error {
	state, err := d.cfg.Runner.State(ctx)
	if err != nil || !state.Running {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeOverLimit)
	defer cancel()
	release, err := d.Use(ctx)
	if err != nil {
		d.cfg.Logger.WarnContext(ctx, "the running builder can't be used", "error", err)
		return nil
	}
	release()
	return nil
}

// Detach leaves the daemon as it is, for a next agent to go on with.
func (d *Daemon) Detach(ctx context.Context) error {
	d.mu.Lock()
	d.disarm()
	d.mu.Unlock()
	select {
	case d.op <- struct{}{}:
		defer func() { <-d.op }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.cfg.Runner.Detach(ctx)
}

// Use has the daemon run and answer, and keeps it so until release is called.
func (d *Daemon) Use(ctx context.Context) (release func(), err error) {
	d.mu.Lock()
	d.users++
	d.disarm()
	d.mu.Unlock()
	release = sync.OnceFunc(d.release)
	if err := d.ensure(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (d *Daemon) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users--; d.users == 0 {
		d.idle = time.AfterFunc(d.cfg.IdleTimeout, d.rest)
	}
}

// disarm keeps an idle daemon from being stopped; mu is held.
func (d *Daemon) disarm() {
	if d.idle != nil {
		d.idle.Stop()
		d.idle = nil
	}
}

// rest stops the daemon when it is still idle.
func (d *Daemon) rest() {
	d.op <- struct{}{}
	defer func() { <-d.op }()
	d.mu.Lock()
	busy := d.users > 0 || d.idle == nil // in use again, or left to a next agent
	d.mu.Unlock()
	if busy {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := d.cfg.Runner.Stop(ctx); err != nil {
		d.cfg.Logger.Warn("stopping the idle builder", "error", err)
		return
	}
	d.cfg.Logger.Info("builder stopped, as nothing was built for a while", "idle", d.cfg.IdleTimeout)
	d.cfg.OnChange()
}

// ensure starts the daemon when it does not run as it should, and waits until
// it answers.
func (d *Daemon) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.StartTimeout)
	defer cancel()
	select {
	case d.op <- struct{}{}:
		defer func() { <-d.op }()
	case <-ctx.Done():
		return awayError("it is still being started or stopped", ctx.Err())
	}
	state, started, err := d.launch(ctx)
	if err != nil {
		return err
	}
	err = d.await(ctx, state)
	if errors.Is(err, errEnded) && !started {
		// It was found in the moment of its end.
		if state, _, err = d.launch(ctx); err == nil {
			err = d.await(ctx, state)
		}
	}
	return err
}

// launch has the daemon run with today's settings, and tells whether it had to
// start it.
func (d *Daemon) launch(ctx context.Context) (state agent.ProcessState, started bool, err error) {
	runc, err := d.cfg.runc()
	if err != nil {
		return state, false, err
	}
	if d.cfg.CA != "" {
		if _, err := os.Stat(d.cfg.CA); err != nil {
			return state, false, agent.Errorf(agent.CodeBuilderAway, "correct build.ca in config.yaml", "builds can't run without the certificates of build.ca: %w", err)
		}
	}
	text, err := d.cfg.settings(runc, d.cfg.Place.Parent())
	if err != nil {
		return state, false, err
	}
	revision, err := d.cfg.revision(text)
	if err != nil {
		return state, false, err
	}
	if state, err = d.cfg.Runner.State(ctx); err != nil {
		return state, false, fmt.Errorf("looking for a running builder: %w", err)
	}
	recorded, err := os.ReadFile(d.cfg.RevisionFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return state, false, fmt.Errorf("reading what the builder was started with: %w", err)
	}
	if state.Running && string(recorded) == revision {
		return state, false, d.start(ctx)
	}
	if state.Running {
		d.cfg.Logger.Info("restarting the builder, as its settings have changed", "pid", state.PID)
	}
	// A stop also ends a back-off between starts, for which there is no time.
	if err := d.cfg.Runner.Stop(ctx); err != nil {
		return state, false, fmt.Errorf("stopping the builder: %w", err)
	}
	if err := d.prepare(text, revision); err != nil {
		return state, false, err
	}
	if err := d.start(ctx); err != nil {
		return state, false, err
	}
	d.cfg.OnChange()
	state, err = d.cfg.Runner.State(ctx)
	return state, true, err
}

func (d *Daemon) start(ctx context.Context) error {
	if err := d.cfg.Runner.Start(ctx); err != nil {
		return fmt.Errorf("starting the builder: %w", err)
	}
	return nil
}

// prepare writes what the daemon needs, while none runs.
func (d *Daemon) prepare(settings []byte, revision string) error {
	for _, dir := range []string{d.cfg.Dir, filepath.Join(d.cfg.Dir, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the builder's folder: %w", err)
		}
	}
	if err := d.cfg.Place.Clear(); err != nil {
		return fmt.Errorf("clearing up after an earlier builder: %w", err)
	}
	if err := writeFile(d.cfg.SettingsFile, settings); err != nil {
		return fmt.Errorf("writing the builder's settings: %w", err)
	}
	if err := writeFile(d.cfg.RevisionFile, []byte(revision)); err != nil {
		return fmt.Errorf("recording what the builder is started with: %w", err)
	}
	return nil
}

// revision names what the daemon runs with: its settings, environment and program.
func (c Config) revision(settings []byte) (string, error) {
	binary, err := filepath.EvalSymlinks(c.Binary)
	if err != nil {
		return "", agent.Errorf(agent.CodeBuilderAway, "run hks-installer up again: it places the appliance's commands", "the builder's program is missing: %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return "", fmt.Errorf("finding the builder's program: %w", err)
	}
	_, env := c.Command()
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d %d\n%q\n%s", binary, info.Size(), info.ModTime().UnixNano(), env, settings)
	return hex.EncodeToString(sum.Sum(nil)) + "\n", nil
}
