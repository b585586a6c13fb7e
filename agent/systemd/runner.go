package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"hks.dev/hks/agent"
)

// unitFolder is where an administrator's units live, systemd.unit(5).
const unitFolder = "/etc/systemd/system"

// manager is the part of systemd's D-Bus interface that a runner uses,
// org.freedesktop.systemd1(5).
type manager interface {
	ReloadContext(ctx context.Context) error
	EnableUnitFilesContext(ctx context.Context, files []string, runtime, force bool) (bool, []dbus.EnableUnitFileChange, error)
	DisableUnitFilesContext(ctx context.Context, files []string, runtime bool) ([]dbus.DisableUnitFileChange, error)
	StartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	StopUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	ResetFailedUnitContext(ctx context.Context, name string) error
	GetAllPropertiesContext(ctx context.Context, unit string) (map[string]any, error)
	SetPropertiesSubscriber(updates chan<- *dbus.PropertiesUpdate, errs chan<- error)
	Subscribe() error
	Close()
}

// Config says which unit to run.
type Config struct {
	Unit   Unit
	Folder string       // of unit files; default /etc/systemd/system
	Logger *slog.Logger // default: none
}

// Runner runs one service. systemd itself starts it again when it ends, so
// the service outlives this process.
type Runner struct {
	cfg  Config
	text string
	dial func(context.Context) (manager, error)
}

// The time that one exchange with systemd, and a stop, may take.
const (
	callLimit = 30 * time.Second
	stopLimit = 3 * time.Minute
)

// New checks the unit.
func New(cfg Config) (*Runner, error) {
	text, err := cfg.Unit.Text()
	if err != nil {
		return nil, err
	}
	if cfg.Folder == "" {
		cfg.Folder = unitFolder
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{cfg: cfg, text: text, dial: func(ctx context.Context) (manager, error) {
		conn, err := dbus.NewSystemdConnectionContext(ctx) // systemd's own socket: works before the bus is up
		if err == nil {
			return conn, nil
		}
		conn, err = dbus.NewSystemConnectionContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("connecting to systemd: %w", err)
		}
		return conn, nil
	}}, nil
}

// Start writes the unit, enables it for the next boot unless it runs on demand,
// and starts it. A running service stays as it is, unless its unit has changed.
// It returns once the start is under way: State tells how it goes.
func (r *Runner) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return r.with(ctx, "starting", func(m manager) error {
		changed, err := r.place()
		if err != nil {
			return err
		}
		if changed {
			if err := m.ReloadContext(ctx); err != nil {
				return fmt.Errorf("reloading units: %w", err)
			}
			if err := r.stop(ctx, m); err != nil {
				return err
			}
		}
		if !r.cfg.Unit.OnDemand {
			if _, _, err := m.EnableUnitFilesContext(ctx, []string{r.file()}, false, true); err != nil {
				return fmt.Errorf("enabling: %w", err)
			}
		}
		state, active, err := r.state(ctx, m)
		if err != nil {
			return err
		}
		if state.Running && active != "deactivating" {
			return nil
		}
		// A unit that failed too often refuses to start until it is forgiven;
		// one that never failed is not known to be forgiven.
		_ = m.ResetFailedUnitContext(ctx, r.cfg.Unit.Name)
		if _, err := m.StartUnitContext(ctx, r.cfg.Unit.Name, "replace", nil); err != nil {
			return err
		}
		r.cfg.Logger.Info("unit starting", "unit", r.cfg.Unit.Name)
		return nil
	})
}

// Stop ends the service and waits for it. Stopping twice is fine.
func (r *Runner) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return r.with(ctx, "stopping", func(m manager) error { return r.stop(ctx, m) })
}

// Detach does nothing: the service is systemd's child, not ours.
func (r *Runner) Detach(context.Context) error { return nil }

// Remove stops the service and takes its unit away.
func (r *Runner) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return r.with(ctx, "removing", func(m manager) error {
		if _, err := os.Stat(r.file()); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := r.stop(ctx, m); err != nil {
			return err
		}
		if _, err := m.DisableUnitFilesContext(ctx, []string{r.cfg.Unit.Name}, false); err != nil {
			return fmt.Errorf("disabling: %w", err)
		}
		if err := os.Remove(r.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = m.ResetFailedUnitContext(ctx, r.cfg.Unit.Name) // forgets the unit; there may be nothing to forget
		return m.ReloadContext(ctx)
	})
}

// State tells what systemd knows of the service.
func (r *Runner) State(ctx context.Context) (agent.ProcessState, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var state agent.ProcessState
	err := r.with(ctx, "asking for the state of", func(m manager) error {
		var err error
		state, _, err = r.state(ctx, m)
		return err
	})
	return state, err
}

// Watch calls fn with the state now and after each change, until ctx ends.
func (r *Runner) Watch(ctx context.Context, fn func(agent.ProcessState)) error {
	return r.with(ctx, "watching", func(m manager) error {
		updates, errs := make(chan *dbus.PropertiesUpdate, 64), make(chan error, 1)
		m.SetPropertiesSubscriber(updates, errs)
		if err := m.Subscribe(); err != nil {
			return err
		}
		for {
			state, _, err := r.state(ctx, m)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			fn(state)
			if !r.changed(ctx, updates, errs) {
				return nil
			}
		}
	})
}

// changed waits for a change of this unit; false means that ctx has ended.
func (r *Runner) changed(ctx context.Context, updates <-chan *dbus.PropertiesUpdate, errs <-chan error) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-errs: // updates were dropped: look again
			return true
		case update := <-updates:
			if update.UnitName == r.cfg.Unit.Name {
				return true
			}
		}
	}
}

// Tail returns the last n lines of the service's journal.
func (r *Runner) Tail(ctx context.Context, n int) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// The journal's own library needs its C headers to build; the command
	// comes with every systemd.
	cmd := exec.CommandContext(ctx, "journalctl", "--unit="+r.cfg.Unit.Name, "--lines="+strconv.Itoa(n), "--output=cat", "--no-pager", "--quiet")
	out, err := cmd.Output()
	if err != nil {
		r.cfg.Logger.Warn("reading the journal", "unit", r.cfg.Unit.Name, "error", err)
		return nil
	}
	text := strings.TrimRight(string(out), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (r *Runner) file() string { return filepath.Join(r.cfg.Folder, r.cfg.Unit.Name) }

// with dials systemd for the time of fn.
func (r *Runner) with(ctx context.Context, doing string, fn func(manager) error) error {
	m, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := fn(m); err != nil {
		return fmt.Errorf("%s unit %s: %w", doing, r.cfg.Unit.Name, err)
	}
	return nil
}

// place writes the unit file, and tells whether it changed.
func (r *Runner) place() (bool, error) {
	old, err := os.ReadFile(r.file())
	if err == nil && string(old) == r.text {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	temp := r.file() + ".tmp" // systemd reads only names it knows
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(r.text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	return true, os.Rename(temp, r.file())
}

func (r *Runner) stop(ctx context.Context, m manager) error {
	state, active, err := r.state(ctx, m)
	if err != nil {
		return err
	}
	if !state.Running && active != "activating" && active != "deactivating" {
		return nil
	}
	done := make(chan string, 1)
	if _, err := m.StopUnitContext(ctx, r.cfg.Unit.Name, "replace", done); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("it did not stop in time: %w", ctx.Err())
	case result := <-done:
		if result != "done" && result != "skipped" {
			return fmt.Errorf("the stop ended as %q", result)
		}
		return nil
	}
}

// state reads the unit's properties; systemd answers for units it does not
// know, too.
func (r *Runner) state(ctx context.Context, m manager) (agent.ProcessState, string, error) {
	properties, err := m.GetAllPropertiesContext(ctx, r.cfg.Unit.Name)
	if err != nil {
		return agent.ProcessState{}, "", err
	}
	state, active := readState(properties)
	return state, active, nil
}

// readState words the properties of a service, and returns its ActiveState.
func readState(properties map[string]any) (agent.ProcessState, string) {
	active, _ := properties["ActiveState"].(string)
	pid, _ := properties["MainPID"].(uint32)
	restarts, _ := properties["NRestarts"].(uint32)
	state := agent.ProcessState{
		Running:  pid != 0 && (active == "active" || active == "activating" || active == "reloading" || active == "deactivating"),
		Restarts: int(restarts),
	}
	since := "ExecMainExitTimestamp"
	if state.Running {
		state.PID, since = int(pid), "ExecMainStartTimestamp"
	}
	if micros, _ := properties[since].(uint64); micros != 0 {
		state.Since = time.UnixMicro(int64(micros))
	}
	if exited, _ := properties["ExecMainExitTimestamp"].(uint64); exited != 0 {
		code, _ := properties["ExecMainCode"].(int32)
		status, _ := properties["ExecMainStatus"].(int32)
		result, _ := properties["Result"].(string)
		state.LastExit = exitText(code, status, result)
	}
	return state, active
}

// exitText words how a main process ended: code is one of siginfo's, waitid(2).
func exitText(code, status int32, result string) string {
	const exited = 1 // CLD_EXITED
	text := fmt.Sprintf("exit status %d", status)
	if code != exited {
		text = fmt.Sprintf("killed by signal %d", status)
	}
	if result != "" && result != "success" && result != "exit-code" && result != "signal" {
		text += " (" + result + ")"
	}
	return text
}
