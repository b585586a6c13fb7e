package app

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

const (
	retryFirst   = time.Second
	retryLast    = 15 * time.Second
	publishPause = 100 * time.Millisecond // between two events of one app
	nudgePause   = 10 * time.Second       // between two attempts at a pod that the quota refused
	never        = time.Duration(-1)
)

// worker brings one app to where its owner wants it. It alone writes the
// app's objects in the cluster, and the state of its releases.
type worker struct {
	m    *Manager
	key  key
	log  *slog.Logger
	done chan struct{} // closed at the end

	deletion agent.Deletion // read after done only

	mu   sync.Mutex         // guards stop
	stop context.CancelFunc // ends what the worker waits for now

	// The rest belongs to the worker's goroutine.
	at          *place   // where the app lives, once that was seen; it can't move while it is there
	rollout     *rollout // of the unfinished release; nil: there is none
	removing    bool
	failed      int // turns in a row that ended in an error
	nudged      time.Time
	ended       int // the cancelled release whose commands were seen to have ended
	published   agent.App
	publishedAt time.Time
}

func newWorker(m *Manager, k key) *worker {
	return &worker{m: m, key: k, log: m.cfg.Log.With("app", k.subject()), done: make(chan struct{})}
}

// run takes turns until the app is gone or ctx ends: one at each change, and
// one at the time that the last turn named.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	changed, unsubscribe := w.m.signals.subscribe(w.key)
	defer unsubscribe()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		wait, gone := w.turn(ctx)
		if gone {
			return
		}
		timer.Stop()
		if wait != never {
			timer.Reset(wait)
		}
	}
}

// interrupt ends a long wait inside a turn, since there is something new.
func (w *worker) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
}

// interruptible is a context for a long wait, which interrupt ends.
func (w *worker) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop = cancel
	return ctx, func() {
		cancel()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stop = nil
	}
}

// turn does the next thing. Wait is when to look again without a change.
func (w *worker) turn(ctx context.Context) (wait time.Duration, gone bool) {
	wait, gone, err := w.act(ctx)
	switch {
	case ctx.Err() != nil:
		return never, true
	case gone:
		return never, true
	case err != nil && errors.Is(err, context.Canceled):
		wait = 0 // interrupted: look again
	case err != nil:
		w.log.Warn("an app's turn failed, trying again", "err", err)
		w.m.notes.set(w.key, noteOf(err))
		wait = min(retryFirst<<min(w.failed, 4), retryLast)
		w.failed++
	default:
		w.failed = 0
		w.m.notes.clear(w.key)
	}
	return sooner(wait, w.publish(ctx)), false
}

func noteOf(err error) note {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return note{e.Message, e.Fix}
	}
	return note{"hks met a fault of its own and tries again", "hks status and the agent's log say more"}
}

func sooner(a, b time.Duration) time.Duration {
	switch {
	case a == never:
		return b
	case b == never:
		return a
	}
	return min(a, b)
}

// place is where the app lives.
type place struct {
	namespace string
	podLevel  string
	watch     *watch
}

func (w *worker) act(ctx context.Context) (wait time.Duration, gone bool, err error) {
	state, ok, err := w.m.cfg.Store.App(ctx, w.key.app, w.key.env)
	if err != nil {
		return never, false, err
	}
	if !ok {
		gone, err := w.m.retire(ctx, w.key)
		return never, gone, err
	}
	at, err := w.place(ctx, state)
	if err != nil || !at.watch.ready() {
		return never, false, err // ready raises every app
	}
	if state.Newest.Status.Done() {
		w.rollout = nil
	}
	if state.Desired == store.DesiredDeleted {
		return w.remove(ctx, at)
	}
	if err := w.reroute(ctx, state, at); err != nil {
		return never, false, err
	}
	switch {
	case !state.Newest.Status.Done():
		wait, err = w.rollOut(ctx, state, at)
	default:
		wait, err = w.settle(ctx, state, at)
	}
	return wait, false, err
}

// place finds the workspace. One that is not ready will do for deleting.
func (w *worker) place(ctx context.Context, state store.AppState) (place, error) {
	if w.at != nil {
		return *w.at, nil
	}
	ws, err := w.m.workspace(ctx)
	if err != nil && state.Desired == store.DesiredDeleted {
		ws, err = w.m.cfg.Workspace.Current(ctx)
	}
	if err != nil {
		return place{}, err
	}
	watch, err := w.m.watchOf(ws.Name)
	if err != nil {
		return place{}, err
	}
	at := place{namespace: ws.Name, podLevel: ws.PodLevel, watch: watch}
	if ws.Status == agent.WorkspaceReady {
		w.at = &at
	}
	return at, nil
}

// settle keeps the cluster as wanted while no release is on its way.
func (w *worker) settle(ctx context.Context, state store.AppState, at place) (time.Duration, error) {
	g, ok := wanted(state)
	v := at.watch.view(w.key)
	if !ok {
		return never, nil
	}
	if n := state.Newest; n.Status == agent.ReleaseCancelled && w.ended != n.Number {
		if left, err := w.endCommands(ctx, at, n.Number+1); left || err != nil {
			return taskLook, err
		}
		w.ended = n.Number
	}
	if state.Serving == 0 {
		return never, w.empty(ctx, v, at)
	}
	if wait, there, err := w.bringBack(ctx, state.Newest.Number, g.spec, v, at); !there || err != nil {
		return wait, err
	}
	if v.holds(g) {
		return w.nudge(ctx, v, at, v.observe(g))
	}
	release, found, err := w.m.cfg.Store.OpenRelease(ctx, w.key.app, w.key.env, g.release)
	if err != nil || !found {
		return never, err
	}
	d, err := w.desired(ctx, release, g, state, at)
	if err != nil {
		return never, err
	}
	if err := w.apply(ctx, d, everything); err != nil {
		return never, err
	}
	return never, w.pruneComponents(ctx, at.namespace, v.others(g.spec))
}

// empty takes the instances of an app away that never served. Whatever its
// Deployments were made from stays to be looked at.
func (w *worker) empty(ctx context.Context, v views, at place) error {
	for component, one := range v {
		if one.autoscaler != nil {
			if err := kube.Delete(ctx, w.m.cfg.Cluster.Interface().AutoscalingV2().HorizontalPodAutoscalers(at.namespace), "taking instances away", w.key.component(component)); err != nil {
				return err
			}
		}
		if one.deployment == nil || replicasOf(one.deployment) == 0 {
			continue
		}
		if err := w.patch(ctx, at.namespace, component, "taking instances away", []byte(`{"spec":{"replicas":0}}`)); err != nil {
			return err
		}
	}
	return nil
}

// nudge makes Kubernetes try again what the quota refused: by itself it tries
// ever more rarely, and does not see that there is room.
func (w *worker) nudge(ctx context.Context, v views, at place, o observation) (time.Duration, error) {
	if o.waiting == nil || o.waiting.kind != troubleQuota {
		w.nudged = time.Time{}
		return never, nil
	}
	now := w.m.cfg.Now()
	if w.nudged.IsZero() {
		w.nudged = now
	}
	if left := w.nudged.Add(nudgePause).Sub(now); left > 0 {
		return left, nil
	}
	w.nudged = now
	return nudgePause, w.retryPods(ctx, v, at.namespace, now)
}

// publish tells listeners when the app shows otherwise than at the last time;
// changes in quick succession are told as one.
func (w *worker) publish(ctx context.Context) time.Duration {
	state, ok, err := w.m.cfg.Store.App(ctx, w.key.app, w.key.env)
	if err != nil || !ok {
		return never
	}
	a := w.m.appOf(state, w.m.current())
	plain := a
	plain.Usage = agent.Usage{}
	if reflect.DeepEqual(plain, w.published) {
		return never
	}
	now := w.m.cfg.Now()
	if left := w.publishedAt.Add(publishPause).Sub(now); left > 0 && plain.Status == w.published.Status {
		return left
	}
	w.published, w.publishedAt = plain, now
	w.m.cfg.Publish("app", w.key.subject(), a)
	return never
}
