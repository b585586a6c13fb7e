package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

// Config says what to run and where its traces go.
type Config struct {
	Name     string   // for messages, such as k3s
	Command  []string // argv; the first is an absolute path
	Env      []string // the whole environment of the child
	Dir      string   // working folder; default /
	PIDFile  string
	Log      Log
	Revision string // what is to run; a child of another revision is replaced, not adopted

	Before  func() error        // called before each start of a child; may be nil
	Started func(pid int) error // called after it, while the child is new; an error ends the child; may be nil

	// Ready tells that a new child is of use beside the one of another revision,
	// which ends only then. With nil, or a child that does not get ready in
	// time, one ends before the other starts.
	Ready func(ctx context.Context, pid int) error

	StopTimeout time.Duration // from SIGTERM to SIGKILL; default 30 s
	StopGroup   bool          // also kill what is left of its process group

	Logger *slog.Logger // default: none
}

// The back-off between a child's end and its next start.
const (
	backoffMin   = time.Second
	backoffMax   = 30 * time.Second
	backoffReset = time.Minute // a child that lived this long was healthy
	trimEvery    = 30 * time.Second
)

// Runner runs one child and starts it again when it ends. It is safe for
// concurrent use.
type Runner struct {
	cfg Config

	op sync.Mutex // one Start, Stop or Detach at a time

	mu    sync.Mutex // guards state
	state agent.ProcessState

	watch  *watch         // guarded by op; nil while nothing is watched
	reaps  sync.WaitGroup // waits for children that are no longer watched
	resume time.Duration  // the first pause before a child is started again
}

// watch is the goroutine that owns the child.
type watch struct {
	cancel *os.File // closing it ends the goroutine and leaves the child alone
	signal *os.File // the end that the goroutine polls
	done   chan struct{}
}

// New checks the settings.
func New(cfg Config) (*Runner, error) {
	if cfg.Name == "" || cfg.PIDFile == "" || cfg.Log.Path == "" {
		return nil, errors.New("a process needs a name, a pid file and a log")
	}
	if cfg.StopTimeout <= 0 {
		cfg.StopTimeout = 30 * time.Second
	}
	if cfg.Dir == "" {
		cfg.Dir = "/"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{cfg: cfg, resume: backoffMin}, nil
}

// Start adopts the child when it runs already, else starts it, and watches it
// from then on. It returns once the child runs, not when it is of use.
func (r *Runner) Start(ctx context.Context) error {
	r.op.Lock()
	defer r.op.Unlock()
	if r.watch != nil {
		return nil
	}
	if len(r.cfg.Command) == 0 {
		return fmt.Errorf("starting %s: there is no command", r.cfg.Name)
	}
	child, err := r.adopt()
	if err != nil {
		return err
	}
	adopted := child != nil
	if child != nil && child.Revision != r.cfg.Revision {
		r.cfg.Logger.Info("replacing a process of another revision", "process", r.cfg.Name, "pid", child.pid)
		next := r.besides(ctx, child)
		if next != nil {
			r.retire(child) // it lets its requests end meanwhile
		} else {
			if err := r.end(ctx, child.handle); err != nil {
				return err
			}
			child.close()
		}
		child = next
		adopted = false
	} else if r.cfg.Ready != nil && child != nil {
		if err := r.endOthers(ctx, child.pid); err != nil {
			child.close()
			return err
		}
	}
	if child == nil {
		if child, err = r.spawn(); err != nil {
			return err
		}
	} else if adopted {
		if err := writeRecord(r.cfg.PIDFile, child.record); err != nil {
			child.close()
			return err
		}
		r.cfg.Logger.Info("adopted a running process", "process", r.cfg.Name, "pid", child.pid)
	}
	signal, cancel, err := os.Pipe()
	if err != nil {
		child.close()
		return fmt.Errorf("watching %s: %w", r.cfg.Name, err)
	}
	r.setRunning(child)
	r.watch = &watch{cancel: cancel, signal: signal, done: make(chan struct{})}
	go r.supervise(r.watch, child)
	return nil
}

// Detach ends the watch and leaves the child running, for a next supervisor
// to adopt.
func (r *Runner) Detach(context.Context) error {
	r.op.Lock()
	defer r.op.Unlock()
	r.unwatch()
	return nil
}

// Stop ends the child, watched or left by an earlier supervisor: SIGTERM, then
// SIGKILL after the time allowed. Stopping twice is fine.
func (r *Runner) Stop(ctx context.Context) error {
	r.op.Lock()
	defer r.op.Unlock()
	r.unwatch()
	child, err := r.adopt()
	if err != nil {
		return err
	}
	if child != nil {
		defer child.close()
		if err := r.end(ctx, child.handle); err != nil {
			return err
		}
		r.reaps.Wait() // it has ended, so this does too
		r.setStopped("stopped")
		if err := r.endOthers(ctx, child.pid); err != nil {
			return err
		}
	}
	return removeRecord(r.cfg.PIDFile)
}

// State tells what is known of the child. An unwatched runner looks it up.
func (r *Runner) State(context.Context) (agent.ProcessState, error) {
	r.op.Lock()
	watched := r.watch != nil
	r.op.Unlock()
	if !watched {
		child, err := r.adopt()
		if err != nil {
			return agent.ProcessState{}, err
		}
		if child != nil {
			defer child.close()
			return agent.ProcessState{Running: true, PID: child.pid, Since: child.Since}, nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, nil
}

// Tail returns the last n lines the child wrote.
func (r *Runner) Tail(_ context.Context, n int) []string { return r.cfg.Log.Tail(n) }

// unwatch ends the goroutine; op is held.
func (r *Runner) unwatch() {
	if r.watch == nil {
		return
	}
	_ = r.watch.cancel.Close() // wakes the goroutine
	<-r.watch.done
	_ = r.watch.signal.Close() // only polled
	r.watch = nil
}

// child is a process held: spawned by this runner (cmd is set) or adopted.
type child struct {
	*handle
	record
	cmd *exec.Cmd
}

// adopt takes hold of the child of the pid file or, without a valid one, of
// the marked one. It returns nil when none runs.
func (r *Runner) adopt() (*child, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	rec, err := readRecord(r.cfg.PIDFile)
	if err != nil {
		return nil, err
	}
	if rec != nil {
		h, err := openHandle(*rec, boot)
		if err == nil {
			return &child{handle: h, record: *rec}, nil
		}
		if !errors.Is(err, errGone) {
			return nil, err
		}
	}
	rec, err = findMarked(r.cfg.PIDFile, boot)
	if err != nil || rec == nil {
		return nil, err
	}
	h, err := openHandle(*rec, boot)
	if errors.Is(err, errGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec.Since = time.Now() // when it was found; nobody wrote down when it began
	return &child{handle: h, record: *rec}, nil
}

// spawn starts the command in a session of its own and records it.
func (r *Runner) spawn() (*child, error) { return r.spawnWith() }

// spawnWith is spawn with more in the child's environment.
func (r *Runner) spawnWith(more ...string) (*child, error) {
	if err := r.cfg.Log.Trim(); err != nil {
		return nil, err
	}
	if r.cfg.Before != nil {
		if err := r.cfg.Before(); err != nil {
			return nil, fmt.Errorf("preparing the start of %s: %w", r.cfg.Name, err)
		}
	}
	out, err := r.cfg.Log.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	env := slices.DeleteFunc(slices.Clone(r.cfg.Env), func(v string) bool { return strings.HasPrefix(v, markKey) })
	cmd := &exec.Cmd{
		Path: r.cfg.Command[0], Args: r.cfg.Command, Dir: r.cfg.Dir,
		Env:    append(append(env, more...), markKey+r.cfg.PIDFile),
		Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", r.cfg.Name, err)
	}
	c, err := r.hold(cmd, boot)
	if err == nil && r.cfg.Started != nil {
		if err = r.cfg.Started(c.pid); err != nil {
			c.close()
		}
	}
	if err != nil {
		_ = cmd.Process.Kill() // it can't be watched, so it must not run
		_ = cmd.Wait()
		return nil, fmt.Errorf("starting %s: %w", r.cfg.Name, err)
	}
	return c, nil
}

// hold records a child just started; it is not waited for yet, so its number
// is still its own.
func (r *Runner) hold(cmd *exec.Cmd, boot string) (*child, error) {
	pid := cmd.Process.Pid
	st, err := readStat(pid)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	c := &child{
		handle: &handle{pid: pid, fd: fd},
		record: record{PID: pid, Start: st.start, Boot: boot, Since: time.Now(), Revision: r.cfg.Revision},
		cmd:    cmd,
	}
	if err := writeRecord(r.cfg.PIDFile, c.record); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// supervise waits for the child's end and starts it again, until cancelled.
func (r *Runner) supervise(w *watch, c *child) {
	defer close(w.done)
	cancel := int(w.signal.Fd())
	backoff := r.resume
	for {
		if c != nil {
			ended := r.attend(c, cancel)
			c.close()
			if !ended {
				// Without a wait the child would stay a zombie if it ended
				// while this process lives on.
				if c.cmd != nil {
					r.reaps.Go(func() { _ = c.cmd.Wait() }) // ends with the child
				}
				return
			}
			if lived := time.Since(c.Since); lived >= backoffReset {
				backoff = r.resume
			}
			exit := exitText(c.cmd)
			r.setStopped(exit)
			r.cfg.Logger.Warn("process ended", "process", r.cfg.Name, "pid", c.pid, "exit", exit, "nextStart", backoff)
		}
		if readable(cancel, backoff) {
			return
		}
		backoff = min(2*backoff, backoffMax)
		next, err := r.spawn()
		if err != nil {
			r.setStopped(err.Error())
			r.cfg.Logger.Error("process did not start", "process", r.cfg.Name, "error", err, "nextStart", backoff)
			c = nil
			continue
		}
		c = next
		r.setRestarted(c)
		r.cfg.Logger.Info("process started again", "process", r.cfg.Name, "pid", c.pid)
	}
}

// attend returns true when the child ended, false when cancelled. It keeps
// the log within its bound meanwhile.
func (r *Runner) attend(c *child, cancel int) bool {
	for {
		ended, err := c.wait(cancel, trimEvery)
		if err != nil {
			r.cfg.Logger.Error("watching a process", "process", r.cfg.Name, "error", err)
			return false
		}
		if ended {
			return true
		}
		if readable(cancel, 0) {
			return false
		}
		if err := r.cfg.Log.Trim(); err != nil {
			r.cfg.Logger.Warn("bounding a log", "process", r.cfg.Name, "error", err)
		}
	}
}

// end stops a process: asks, waits, kills, waits.
func (r *Runner) end(ctx context.Context, h *handle) error {
	for _, try := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, r.cfg.StopTimeout}, {unix.SIGKILL, 10 * time.Second}} {
		if err := h.signal(try.signal); err != nil && !errors.Is(err, errGone) {
			return fmt.Errorf("stopping %s: %w", r.cfg.Name, err)
		}
		ended, err := r.await(ctx, h, try.wait)
		if err != nil {
			return fmt.Errorf("stopping %s: %w", r.cfg.Name, err)
		}
		if ended {
			if r.cfg.StopGroup {
				// The leader of a session leads a group of the same number.
				if err := unix.Kill(-h.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("stopping the rest of %s: %w", r.cfg.Name, err)
				}
			}
			return nil
		}
		r.cfg.Logger.Warn("process does not stop, killing it", "process", r.cfg.Name, "pid", h.pid, "waited", try.wait)
	}
	return fmt.Errorf("stopping %s: process %d is still there after SIGKILL", r.cfg.Name, h.pid)
}

// await waits for the end of h; it returns false when the time allowed, or
// that of ctx, is over.
func (r *Runner) await(ctx context.Context, h *handle, limit time.Duration) (bool, error) {
	signal, cancel, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer func() { _ = signal.Close() }() // only polled
	stop := context.AfterFunc(ctx, func() { _ = cancel.Close() })
	defer func() {
		if stop() {
			_ = cancel.Close()
		}
	}()
	return h.wait(int(signal.Fd()), limit)
}

// readable waits up to limit for something to read, or the end, on fd.
func readable(fd int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err != nil || n > 0
		}
	}
}

// exitText reaps a child of ours and words its end; an adopted one's is not known.
func exitText(cmd *exec.Cmd) string {
	if cmd == nil {
		return "ended"
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return err.Error()
	}
	return cmd.ProcessState.String()
}

func (r *Runner) setRunning(c *child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = agent.ProcessState{Running: true, PID: c.pid, Since: c.Since}
}

func (r *Runner) setRestarted(c *child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Running, r.state.PID, r.state.Since = true, c.pid, c.Since
	r.state.Restarts++
}

func (r *Runner) setStopped(exit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Running, r.state.PID, r.state.Since, r.state.LastExit = false, 0, time.Now(), exit
}
