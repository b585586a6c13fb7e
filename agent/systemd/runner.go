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

// Folder is where an administrator's units live, systemd.unit(5).
const Folder = "/etc/systemd/system"

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
	cfg    Config
	text   string // of the unit
	socket string // text of the unit of its sockets; empty for none
	dial   func(context.Context) (manager, error)
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
	socket, err := cfg.Unit.SocketText()
	if err != nil {
		return nil, err
	}
	if cfg.Folder == "" {
		cfg.Folder = Folder
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{cfg: cfg, text: text, socket: socket, dial: func(ctx context.Context) (manager, error) {
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
		changed, err := r.place(ctx, m)
		if err != nil {
			return err
		}
		if changed {
			if err := r.stop(ctx, m, r.cfg.Unit.Name); err != nil {
				return err
			}
		}
		if !r.cfg.Unit.OnDemand {
			if _, _, err := m.EnableUnitFilesContext(ctx, r.files(), false, true); err != nil {
				return fmt.Errorf("enabling: %w", err)
			}
		}
		if err := r.openSockets(ctx, m); err != nil {
			return err
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

// openSockets has systemd listen. It does not begin to while the service runs,
// which may hold the ports itself.
func (r *Runner) openSockets(ctx context.Context, m manager) error {
	if r.socket == "" {
		return nil
	}
	name := SocketOf(r.cfg.Unit.Name)
	properties, err := m.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return err
	}
	if active, _ := properties["ActiveState"].(string); active == "active" {
		return nil
	}
	if err := r.stop(ctx, m, r.cfg.Unit.Name); err != nil {
		return err
	}
	_ = m.ResetFailedUnitContext(ctx, name)
	done := make(chan string, 1)
	if _, err := m.StartUnitContext(ctx, name, "replace", done); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s did not open in time: %w", name, ctx.Err())
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("systemd can't listen on %s (%s); journalctl -u %s says why", strings.Join(r.cfg.Unit.Listen, ", "), result, name)
		}
		return nil
	}
}

// Stop ends the service and waits for it. Stopping twice is fine.
func (r *Runner) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return r.with(ctx, "stopping", func(m manager) error { return r.stopAll(ctx, m) })
}

// stopAll ends the sockets first: a connection would start the service again.
func (r *Runner) stopAll(ctx context.Context, m manager) error {
	if _, err := os.Stat(filepath.Join(r.cfg.Folder, SocketOf(r.cfg.Unit.Name))); err == nil {
		if err := r.stop(ctx, m, SocketOf(r.cfg.Unit.Name)); err != nil {
			return err
		}
	}
	return r.stop(ctx, m, r.cfg.Unit.Name)
}

// Detach does nothing: the service is systemd's child, not ours.
func (r *Runner) Detach(context.Context) error { return nil }

// Remove stops the service and takes its unit away.
func (r *Runner) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return r.with(ctx, "removing", func(m manager) error {
		var names []string // also of sockets that an earlier version had
		for _, name := range []string{r.cfg.Unit.Name, SocketOf(r.cfg.Unit.Name)} {
			if _, err := os.Stat(filepath.Join(r.cfg.Folder, name)); err == nil {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return nil
		}
		if err := r.stopAll(ctx, m); err != nil {
			return err
		}
		if _, err := m.DisableUnitFilesContext(ctx, names, false); err != nil {
			return fmt.Errorf("disabling: %w", err)
		}
		for _, name := range names {
			if err := os.Remove(filepath.Join(r.cfg.Folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
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

// place writes the unit files, and tells whether any changed. Sockets that
// changed are closed, or what they were would stay open.
func (r *Runner) place(ctx context.Context, m manager) (bool, error) {
	changed, err := placeFile(r.file(), r.text)
	if err != nil {
		return false, err
	}
	socket := filepath.Join(r.cfg.Folder, SocketOf(r.cfg.Unit.Name))
	socketChanged := false
	if r.socket != "" {
		socketChanged, err = placeFile(socket, r.socket)
	} else if _, there := os.Stat(socket); there == nil {
		err = r.stop(ctx, m, SocketOf(r.cfg.Unit.Name))
		if err == nil {
			_, err = m.DisableUnitFilesContext(ctx, []string{SocketOf(r.cfg.Unit.Name)}, false)
		}
		if err == nil {
			changed, err = true, os.Remove(socket)
		}
	}
	if err != nil {
		return false, err
	}
	if changed || socketChanged {
		if err := m.ReloadContext(ctx); err != nil {
			return false, fmt.Errorf("reloading units: %w", err)
		}
	}
	if socketChanged {
		if err := r.stopAll(ctx, m); err != nil {
			return false, err
		}
	}
	return changed || socketChanged, nil
}

// placeFile writes one unit file, and tells whether it changed.
func placeFile(file, text string) (bool, error) {
	old, err := os.ReadFile(file)
	if err == nil && string(old) == text {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	temp := file + ".tmp" // systemd reads only names it knows
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	return true, os.Rename(temp, file)
}

// files are the unit files, for enabling.
func (r *Runner) files() []string {
	files := []string{r.file()}
	if r.socket != "" {
		files = append(files, filepath.Join(r.cfg.Folder, SocketOf(r.cfg.Unit.Name)))
	}
	return files
}

// stop ends a unit, a service or its sockets, and waits for it.
func (r *Runner) stop(ctx context.Context, m manager, name string) error {
	properties, err := m.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return err
	}
	if active, _ := properties["ActiveState"].(string); active == "inactive" || active == "failed" || active == "" {
		return nil
	}
	done := make(chan string, 1)
	if _, err := m.StopUnitContext(ctx, name, "replace", done); err != nil {
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
