package process

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Succeeds is set in the environment of a child that is started beside the one
// whose place it takes.
const Succeeds = "HKS_SUCCEEDS"

// How long a successor may take, and how often it is asked.
const (
	besideLimit = 30 * time.Second
	besidePause = 100 * time.Millisecond
)

// besides starts a child beside another one and waits until it is of use. It
// returns nil when that can't be: then one ends before the other starts.
func (r *Runner) besides(ctx context.Context, before *child) *child {
	if r.cfg.Ready == nil {
		return nil
	}
	next, err := r.spawnWith(Succeeds + "=1")
	if err != nil {
		r.cfg.Logger.Warn("a successor does not start beside the one that runs", "process", r.cfg.Name, "error", err)
		return nil
	}
	err = r.awaitReady(ctx, next)
	if err == nil {
		return next
	}
	r.cfg.Logger.Warn("a successor is not of use beside the one that runs; it is started after that has ended", "process", r.cfg.Name, "pid", next.pid, "error", err)
	if err := errors.Join(r.end(ctx, next.handle), writeRecord(r.cfg.PIDFile, before.record)); err != nil {
		r.cfg.Logger.Error("ending a successor", "process", r.cfg.Name, "error", err)
	}
	if next.cmd != nil {
		r.reaps.Go(func() { _ = next.cmd.Wait() })
	}
	next.close()
	return nil
}

// retire ends a child in the background. It is told at once, so that it ends
// also when this process does first.
func (r *Runner) retire(before *child) {
	if err := before.signal(unix.SIGTERM); err != nil && !errors.Is(err, errGone) {
		r.cfg.Logger.Error("ending the one before", "process", r.cfg.Name, "error", err)
	}
	r.reaps.Go(func() {
		defer before.close()
		ctx, cancel := context.WithTimeout(context.Background(), 2*r.cfg.StopTimeout)
		defer cancel()
		if err := r.end(ctx, before.handle); err != nil {
			r.cfg.Logger.Error("ending the one before", "process", r.cfg.Name, "error", err)
		}
	})
}

func (r *Runner) awaitReady(ctx context.Context, next *child) error {
	ctx, cancel := context.WithTimeout(ctx, besideLimit)
	defer cancel()
	for {
		err := r.cfg.Ready(ctx, next.pid)
		if err == nil {
			return nil
		}
		if ended, waited := next.wait(-1, besidePause); waited != nil || ended {
			return errors.Join(err, waited, errGone)
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// endOthers ends what was started for the same pid file besides pid: a
// supervisor may have died between a successor's start and the end of the one
// before.
func (r *Runner) endOthers(ctx context.Context, pid int) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	others, err := marked(r.cfg.PIDFile, boot)
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.PID == pid {
			continue
		}
		h, err := openHandle(other, boot)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		r.cfg.Logger.Info("ending one of two", "process", r.cfg.Name, "pid", other.PID)
		err = r.end(ctx, h)
		h.close()
		if err != nil {
			return err
		}
	}
	return nil
}
