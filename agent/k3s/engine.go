package k3s

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Runner supervises the process: agent/process or agent/systemd.
type Runner interface {
	// Start starts the process, or goes on with one that runs already. It
	// returns once the process runs, not when it is of use.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	State(ctx context.Context) (agent.ProcessState, error)
}

// Config says where things are and what the cluster shall be like.
type Config struct {
	Binary         string // the k3s program
	DataDir        string // k3s's data
	ConfigFile     string // k3s's settings, written here
	RegistriesFile string // k3s's registry settings, written here
	Kubeconfig     string // the administrator's credential, written by k3s
	RevisionFile   string // what k3s was started with last; must outlive a reboot

	NodeName     string         // default: the host name
	TLSSANs      []string       // further names of the API server
	Extra        map[string]any // merged over k3s's settings
	StartTimeout time.Duration  // until the cluster is of use; default 5 min
	Join         *Join          // the cluster to join; nil: this machine is the cluster
	Environ      []string       // this process's environment, of which k3s gets what it needs

	Runner   Runner
	Tail     func(ctx context.Context, lines int) []string // k3s's last output; may be nil
	LogPlace string                                        // where people find that output
	OnChange func(Health)                                  // called on each change of health; must not block
	Logger   *slog.Logger                                  // default: none
}

// Engine runs k3s. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	freeSpace func(path string) (uint64, error)
	pace      pace

	op      sync.Mutex // one Start, Stop or Detach at a time
	cancel  context.CancelFunc
	watched chan struct{} // closed when the watching goroutine has ended; nil without one

	mu      sync.Mutex // guards health and changed
	health  Health
	changed chan struct{} // closed and replaced on each change
}

// New checks the settings.
func New(cfg Config) (*Engine, error) {
	for name, value := range map[string]string{
		"binary": cfg.Binary, "data folder": cfg.DataDir, "settings file": cfg.ConfigFile,
		"registries file": cfg.RegistriesFile, "kubeconfig": cfg.Kubeconfig, "revision file": cfg.RevisionFile,
	} {
		if value == "" && (cfg.Join == nil || name != "kubeconfig") {
			return nil, fmt.Errorf("the engine needs a %s", name)
		}
	}
	if cfg.Runner == nil {
		return nil, errors.New("the engine needs a runner")
	}
	if cfg.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming the node: %w", err)
		}
		cfg.NodeName = strings.ToLower(host)
	}
	if err := agent.ValidateHost(cfg.NodeName); err != nil {
		return nil, &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("%q can't be the name of a node", cfg.NodeName),
			Fix:     "set k3s.nodeName in config.yaml to lower-case letters, digits and dashes",
			Cause:   err,
		}
	}
	if cfg.StartTimeout <= 0 {
		cfg.StartTimeout = 5 * time.Minute
	}
	if cfg.Tail == nil {
		cfg.Tail = func(context.Context, int) []string { return nil }
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func(Health) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{
		cfg: cfg, freeSpace: freeSpace, pace: defaultPace,
		health:  Health{State: StateStopped},
		changed: make(chan struct{}),
	}, nil
}

// NodeName is the name of this machine's node.
func (e *Engine) NodeName() string { return e.cfg.NodeName }

// Kubeconfig is the file with the administrator's credential.
func (e *Engine) Kubeconfig() string { return e.cfg.Kubeconfig }

// Start brings k3s up, or goes on with a running one, and returns when the API
// server answers and the node is ready. A k3s that runs with other settings,
// registries or another binary is restarted, so a second Start applies them.
//
// When the time is over the error tells what was waited for; the supervisor
// goes on trying, and Health tells when it succeeds. Ending ctx ends the wait,
// not k3s.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.launch(ctx); err != nil {
		return err
	}
	return e.waitReady(ctx)
}

// launch checks what can be checked, has k3s run with today's settings and
// watches it.
func (e *Engine) launch(ctx context.Context) error {
	e.op.Lock()
	defer e.op.Unlock()
	version, err := e.checkBinary(ctx)
	if err != nil {
		return err
	}
	if err := e.checkSpace(); err != nil {
		return err
	}
	settings, err := e.cfg.settings()
	if err != nil {
		return err
	}
	if _, err := writeFile(e.cfg.ConfigFile, settings); err != nil {
		return fmt.Errorf("writing k3s's settings: %w", err)
	}
	revision, err := e.revision(settings)
	if err != nil {
		return err
	}
	state, err := e.cfg.Runner.State(ctx)
	if err != nil {
		return fmt.Errorf("looking for a running k3s: %w", err)
	}
	recorded, err := os.ReadFile(e.cfg.RevisionFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading what k3s was started with: %w", err)
	}
	if state.Running && string(recorded) != revision {
		e.cfg.Logger.Info("restarting k3s, as its settings have changed", "pid", state.PID)
		e.unwatch()
		if err := e.cfg.Runner.Stop(ctx); err != nil {
			return fmt.Errorf("stopping k3s: %w", err)
		}
		state.Running = false
	}
	if !state.Running {
		if e.cfg.Join == nil {
			if err := e.checkPort(); err != nil {
				return err
			}
		}
		// Written while nothing runs: a crash in between costs one restart at
		// most, and never lets old settings pass for new ones.
		if _, err := writeFile(e.cfg.RevisionFile, []byte(revision)); err != nil {
			return fmt.Errorf("recording what k3s is started with: %w", err)
		}
	}
	if e.watched == nil {
		e.setHealth(Health{State: StateStarting, Message: "starting k3s " + version, Version: version})
	}
	if err := e.cfg.Runner.Start(ctx); err != nil {
		return fmt.Errorf("starting k3s: %w", err)
	}
	e.watch(version)
	return nil
}

// Stop ends k3s and waits for its end. Containers go on until Cleanup, or the
// next start finds them. Stopping twice is fine.
func (e *Engine) Stop(ctx context.Context) error {
	e.op.Lock()
	defer e.op.Unlock()
	e.unwatch()
	if err := e.cfg.Runner.Stop(ctx); err != nil {
		return fmt.Errorf("stopping k3s: %w", err)
	}
	e.setHealth(Health{State: StateStopped})
	return nil
}

// Detach stops watching and leaves k3s running. What supervises it is told to
// do the same by its owner.
func (e *Engine) Detach() {
	e.op.Lock()
	defer e.op.Unlock()
	e.unwatch()
}

// watch starts the watching goroutine, once; op is held.
func (e *Engine) watch(version string) {
	if e.watched != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel, e.watched = cancel, make(chan struct{})
	go e.keepWatch(ctx, version, e.watched)
}

func (e *Engine) unwatch() {
	if e.watched == nil {
		return
	}
	e.cancel()
	<-e.watched
	e.cancel, e.watched = nil, nil
}
