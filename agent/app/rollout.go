package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

const (
	resolveTimeout = 30 * time.Second
	// resumedGrace is what a release gets at least when the agent comes back
	// in the middle of it.
	resumedGrace = 30 * time.Second
)

// rollout is what a worker remembers of the release on its way. All of it can
// be made again from the store and the cluster.
type rollout struct {
	release store.AppRelease // with the values of its environment
	applied goal
	routed  bool // the route was set to this release

	commanded bool // the release commands ended well

	since        time.Time // of the last progress
	pulling      time.Time // since when an image is on its way; zero: none is
	best         int       // the highest score seen
	trouble      string    // the kind that goes on
	troubleSince time.Time
}

// begin takes up the unfinished release.
func (w *worker) begin(ctx context.Context, state store.AppState) (*rollout, error) {
	number := state.Newest.Number
	if r := w.rollout; r != nil && r.release.Number == number {
		return r, nil
	}
	release, ok, err := w.m.cfg.Store.OpenRelease(ctx, w.key.app, w.key.env, number)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("release %d of %s is gone", number, w.key.subject())
	}
	now := w.m.cfg.Now()
	since := now
	if earliest := now.Add(resumedGrace - w.m.cfg.Deadline); release.CreatedAt.Before(now) {
		since = release.CreatedAt
		if since.Before(earliest) {
			since = earliest
		}
	}
	w.rollout = &rollout{release: release, since: since}
	return w.rollout, nil
}

// rollOut does the next thing for the unfinished release.
func (w *worker) rollOut(ctx context.Context, state store.AppState, at place) (time.Duration, error) {
	r, err := w.begin(ctx, state)
	if err != nil {
		return never, err
	}
	for _, c := range r.release.Spec.Components {
		if r.release.Images[c.Name].Pull != "" {
			continue
		}
		if done, err := w.resolve(ctx, state, r, c); done || err != nil {
			return 0, err
		}
	}
	g, _ := wanted(state)
	if wait, done, err := w.runCommands(ctx, state, r, g, at); !done || err != nil {
		return wait, err
	}
	if !r.applied.same(g) {
		if wait, there, err := w.bring(ctx, state, r, at); !there || err != nil {
			return wait, err
		}
		if done, err := w.hand(ctx, state, r, g, at); done || err != nil {
			return 0, err
		}
	}
	return w.observe(ctx, state, r, g, at)
}

// resolve finds what the pods of a component pull. Done means that the release
// failed by it.
func (w *worker) resolve(ctx context.Context, state store.AppState, r *rollout, c agent.Component) (done bool, err error) {
	w.step(r, "resolve", "looking for the image "+c.Image)
	waiting, stop := w.interruptible(ctx)
	defer stop()
	waiting, cancel := context.WithTimeout(waiting, resolveTimeout)
	defer cancel()
	pull, digest, err := w.m.cfg.Images.Resolve(waiting, c.Image)
	if err != nil {
		return w.unresolved(ctx, state, r, c, err)
	}
	image := store.Image{Pull: cmp.Or(pull, c.Image), Digest: digest}
	if digest == "" {
		_, image.Digest, _ = strings.Cut(image.Pull, "@")
	}
	return false, w.pin(ctx, r, c.Name, image)
}

// pin keeps what the image of a component was resolved to.
func (w *worker) pin(ctx context.Context, r *rollout, component string, image store.Image) error {
	if err := w.m.cfg.Store.PinImage(ctx, w.key.app, w.key.env, r.release.Number, component, image); err != nil {
		return err
	}
	if r.release.Images == nil {
		r.release.Images = map[string]store.Image{}
	}
	r.release.Images[component] = image
	return nil
}

func (w *worker) unresolved(ctx context.Context, state store.AppState, r *rollout, c agent.Component, err error) (done bool, _ error) {
	if errors.Is(err, context.Canceled) {
		return false, err
	}
	t := &trouble{kind: troubleImage, code: agent.CodeImagePull, message: noteOf(err).reason, fix: noteOf(err).fix}
	if !strings.Contains(t.message, c.Image) {
		t.message = c.Image + ": " + t.message
	}
	switch agent.CodeOf(err) {
	case agent.CodeNotFound, agent.CodeImagePull, agent.CodeInvalidImage, agent.CodeForbidden:
		return true, w.fail(ctx, state, r, t, place{})
	}
	if w.m.cfg.Now().Sub(r.since) >= w.m.cfg.Deadline {
		return true, w.fail(ctx, state, r, t, place{})
	}
	w.step(r, "resolve", t.message+"; trying again")
	return false, err
}

// hand gives the release to the cluster.
func (w *worker) hand(ctx context.Context, state store.AppState, r *rollout, g goal, at place) (done bool, err error) {
	w.step(r, "apply", "handing the release to the cluster")
	if err := w.start(ctx, state); err != nil {
		return false, err
	}
	what := everything
	if late := state.Serving > 0 && w.otherRoute(state, r.release.Spec); late && !r.routed {
		what = allButRoute
	}
	d, err := w.desired(ctx, r.release, g, state, at)
	if err != nil {
		return false, err
	}
	err = w.apply(ctx, d, what)
	if err == nil {
		r.applied = g
		r.routed = what == everything
		return false, nil
	}
	t := &trouble{kind: troubleRefused, code: agent.CodeRollout, message: noteOf(err).reason, fix: noteOf(err).fix}
	switch agent.CodeOf(err) {
	case agent.CodeInvalid, agent.CodeForbidden, agent.CodeNotFound:
		return true, w.fail(ctx, state, r, t, at)
	case agent.CodeQuota, agent.CodeClusterAway, agent.CodeConflict:
		r.since = w.m.cfg.Now() // not the release's fault: its clock stands still
	default:
		if w.m.cfg.Now().Sub(r.since) >= w.m.cfg.Deadline {
			return true, w.fail(ctx, state, r, t, at)
		}
	}
	w.step(r, "apply", t.message+"; trying again")
	return false, err
}

// start marks the release as being rolled out.
func (w *worker) start(ctx context.Context, state store.AppState) error {
	release := state.Newest.Release // without values of its environment
	if release.Status != agent.ReleasePending {
		return nil
	}
	if err := w.m.cfg.Store.BeginRelease(ctx, w.key.app, w.key.env, release.Number); err != nil {
		return err
	}
	release.Status = agent.ReleaseDeploying
	w.m.cfg.Publish("release", w.key.subject(), release)
	return nil
}

// otherRoute tells whether a release is reached elsewhere than the one that
// serves. Its route is then set only when it is ready.
func (w *worker) otherRoute(state store.AppState, spec agent.Spec) bool {
	return !maps.Equal(w.m.routes(w.key, state.Current.Spec), w.m.routes(w.key, spec))
}

// observe looks how far the release is, and ends it when that is certain.
func (w *worker) observe(ctx context.Context, state store.AppState, r *rollout, g goal, at place) (time.Duration, error) {
	v := at.watch.view(w.key)
	o := v.observe(g)
	w.step(r, o.step, o.message)
	if o.complete {
		return w.finish(ctx, state, r, g, at)
	}
	failed, left := r.judge(o, w.m.cfg.Now(), w.m.cfg.Deadline, w.m.cfg.PullDeadline)
	if failed != nil {
		if err := w.reachable(ctx, at.namespace); err != nil {
			r.since = w.m.cfg.Now() // nothing was seen of the release meanwhile
			return never, err
		}
		return 0, w.fail(ctx, state, r, failed, at)
	}
	nudge, err := w.nudge(ctx, v, at, o)
	return sooner(left, nudge), err
}

// reachable tells whether the cluster answers: what informers show may be old.
func (w *worker) reachable(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err := w.m.cfg.Cluster.Interface().AppsV1().Deployments(namespace).Get(ctx, w.key.object(), metav1.GetOptions{})
	return kube.IgnoreNotFound(kube.Explain("looking after "+w.key.subject(), err))
}

// judge tells whether the release has failed, else how long it may go on
// without progress. While there is no room its clock stands still.
func (r *rollout) judge(o observation, now time.Time, deadline, pullDeadline time.Duration) (failed *trouble, left time.Duration) {
	if o.score > r.best {
		r.best, r.since = o.score, now
	}
	if o.waiting != nil && o.trouble == nil {
		r.since, r.trouble = now, ""
		return nil, never
	}
	limit := deadline
	switch {
	case o.pulling && r.pulling.IsZero():
		r.pulling = now
	case !o.pulling && !r.pulling.IsZero():
		r.pulling, r.since = time.Time{}, now
	}
	end := r.since.Add(limit)
	if o.pulling {
		limit, end = pullDeadline, r.pulling.Add(pullDeadline)
	}
	if o.trouble == nil {
		r.trouble = ""
	} else {
		if o.trouble.kind != r.trouble {
			r.trouble, r.troubleSince = o.trouble.kind, now
		}
		if p := o.trouble.patience; p != untilDeadline && r.troubleSince.Add(p).Before(end) {
			end = r.troubleSince.Add(p)
		}
	}
	if left := end.Sub(now); left > 0 {
		return nil, left
	}
	if o.trouble != nil {
		return o.trouble, never
	}
	return &trouble{kind: troubleReady, code: agent.CodeRollout,
		message: fmt.Sprintf("it made no progress for %s; last seen: %s", limit, o.message),
		fix:     "see what the cluster is at (hks status) and deploy again"}, never
}

// finish sees that every route answers, and ends the release well. Components
// that it no longer has are taken away by the next turn.
func (w *worker) finish(ctx context.Context, state store.AppState, r *rollout, g goal, at place) (time.Duration, error) {
	if !r.routed {
		d, err := w.desired(ctx, r.release, g, state, at)
		if err != nil {
			return never, err
		}
		if err := w.apply(ctx, d, onlyRoute); err != nil {
			return never, err
		}
		r.routed = true
	}
	for _, c := range r.release.Spec.Components {
		url := w.m.url(w.key, c)
		if url == "" {
			continue
		}
		w.step(r, "route", "asking "+url)
		if err := w.checkRoute(ctx, url); err != nil {
			e, ok := errors.AsType[*agent.Error](err)
			if !ok {
				return never, err // interrupted, or a fault of ours
			}
			return 0, w.fail(ctx, state, r, &trouble{kind: troubleReady, code: e.Code, message: "it is ready, but " + e.Message, fix: e.Fix}, at)
		}
	}
	if err := w.learnDigests(ctx, r, at); err != nil {
		return never, err
	}
	if err := w.arrived(ctx, r); err != nil {
		return never, err
	}
	finished, err := w.m.cfg.Store.FinishRelease(ctx, w.key.app, w.key.env, r.release.Number, nil)
	if err != nil || !finished {
		return 0, err
	}
	w.rollout = nil
	done, _, err := w.m.cfg.Store.Release(ctx, w.key.app, w.key.env, r.release.Number)
	if err != nil {
		return never, err
	}
	w.m.end(w.key, done.Release, "done", cmp.Or(w.m.url(w.key, done.Spec.Main()), fmt.Sprintf("release %d runs", done.Number)))
	w.m.tell(ctx, w.key, "info", fmt.Sprintf("release %d serves", done.Number), done.By)
	w.m.cfg.HostsChanged()
	if err := w.pruneSecrets(ctx, at.namespace, done.Number, done.Number); err != nil {
		w.log.Warn("old releases' secrets stay for now", "err", err)
	}
	return 0, nil
}

func (w *worker) checkRoute(ctx context.Context, url string) error {
	ctx, stop := w.interruptible(ctx)
	defer stop()
	return w.m.cfg.Route.Check(ctx, url)
}

// learnDigests keeps the digests that a node pulled, so that the release can
// be brought back exactly although it was asked for by tag.
func (w *worker) learnDigests(ctx context.Context, r *rollout, at place) error {
	for _, p := range at.watch.view(w.key).pods() {
		component := componentOf(p.Labels)
		image := r.release.Images[component]
		status := containerStatus(p)
		if status == nil || releaseOf(p.Labels) != r.release.Number || image.Pull == "" || image.Digest != "" {
			continue
		}
		if _, digest, ok := strings.Cut(status.ImageID, "@"); ok && strings.HasPrefix(digest, "sha256:") {
			image.Digest = digest
			if err := w.pin(ctx, r, component, image); err != nil {
				return err
			}
		}
	}
	return nil
}

// fail ends the release with what went wrong. The next turn brings the
// release back that served before, or takes the instances of a first one away.
func (w *worker) fail(ctx context.Context, state store.AppState, r *rollout, t *trouble, at place) error {
	failure := &agent.Failure{Code: t.code, Message: t.message, Fix: t.fix, ExitCode: t.exitCode}
	if t.pod != "" && slices.Contains([]string{troubleCrash, troubleReady}, t.kind) {
		failure.Logs = w.m.lastLines(ctx, at.namespace, t.pod, t.earlier)
		if last := lastWords(failure.Logs); last != "" && t.kind == troubleCrash {
			failure.Message += "; its last line: " + last
		}
	}
	hideValues(failure, r.release.Spec.Env)
	number := r.release.Number
	finished, err := w.m.cfg.Store.FinishRelease(ctx, w.key.app, w.key.env, number, failure)
	if err != nil || !finished {
		return err
	}
	w.rollout = nil
	done, _, err := w.m.cfg.Store.Release(ctx, w.key.app, w.key.env, number)
	if err != nil {
		return err
	}
	if state.Serving > 0 {
		w.m.step(w.key, number, "rollback", fmt.Sprintf("release %d goes on serving", state.Serving))
	} else {
		w.m.step(w.key, number, "rollback", "no release served before; the instances are taken away")
	}
	w.m.end(w.key, done.Release, "failed", failure.Message)
	w.m.tell(ctx, w.key, "error", fmt.Sprintf("release %d failed: %s", number, failure.Message), done.By)
	w.m.cfg.HostsChanged()
	return nil
}

func (w *worker) step(r *rollout, step, message string) {
	w.m.step(w.key, r.release.Number, step, message)
}

// desired gathers what the objects are made from.
func (w *worker) desired(ctx context.Context, release store.AppRelease, g goal, state store.AppState, at place) (desired, error) {
	domains, err := w.m.cfg.Store.AppDomains(ctx, w.key.app, w.key.env)
	return desired{
		key: w.key, namespace: at.namespace, podLevel: at.podLevel, host: func(c agent.Component) string { return w.m.host(w.key, c) },
		domains: domains, maintenance: state.Maintenance,
		release: release, scale: g.scale, restartedAt: state.RestartedAt, deadline: w.m.cfg.Deadline,
	}, err
}

// lastWords is the last line with anything on it.
func lastWords(lines []string) string {
	for _, line := range slices.Backward(lines) {
		if words := plain(line); words != "" {
			return words
		}
	}
	return ""
}
