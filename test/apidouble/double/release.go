package double

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

func (w apps) Deploy(_ context.Context, name string, env agent.Environment, deploy agent.Deploy, by string) (agent.Release, error) {
	before := w.newest(name, env)
	spec, err := complete(deploy, before)
	if err != nil {
		return agent.Release{}, err
	}
	kind := "deploy"
	if len(before.Components) > 0 && reflect.DeepEqual(before.Components, spec.Components) {
		kind = "config"
	}
	return w.release(name, env, spec, deploy.Replicas, agent.Release{Kind: kind, By: by})
}

// newest is the configuration of the newest release; empty when there is none.
func (w apps) newest(name string, env agent.Environment) agent.Spec {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return agent.Spec{}
	}
	return a.releases[len(a.releases)-1].Spec
}

// release accepts a release and begins to roll it out.
func (w apps) release(name string, env agent.Environment, spec agent.Spec, replicas map[string]agent.Scale, as agent.Release) (agent.Release, error) {
	w.mu.Lock()
	if w.workspace == nil || w.workspace.Status != agent.WorkspaceReady {
		w.mu.Unlock()
		return agent.Release{}, &agent.Error{Code: agent.CodeWorkspaceMissing, Message: "the workspace is not ready", Fix: "wait a moment, and see: hks workspace"}
	}
	accepted := w.accept(name, env, spec, replicas, as).Release
	w.mu.Unlock()
	w.jobs.Go(func() { w.rollOut(name, env, accepted.Number) })
	return accepted, nil
}

// accept writes a release down; one on its way gives way to it. The caller
// holds w.mu.
func (w apps) accept(name string, env agent.Environment, spec agent.Spec, replicas map[string]agent.Scale, as agent.Release) *release {
	a, ok := w.apps[keyOf(name, env)]
	if !ok {
		a = &app{
			app:      agent.App{Name: name, Environment: env, Status: agent.AppDeploying, CreatedAt: time.Now().UTC()},
			replicas: map[string]agent.Scale{}, ready: map[string]int{},
		}
		w.apps[keyOf(name, env)] = a
	}
	maps.Copy(a.replicas, replicas)
	as.App, as.Environment, as.Number, as.Spec = name, env, len(a.releases)+1, spec
	as.Status, as.CreatedAt = agent.ReleasePending, time.Now().UTC()
	for _, earlier := range a.releases {
		if !earlier.Status.Done() {
			earlier.Status, earlier.FinishedAt = agent.ReleaseCancelled, time.Now().UTC()
			earlier.steps = append(earlier.steps, agent.Progress{Time: time.Now().UTC(), Step: "failed", Message: "a newer release took its place", Done: true})
		}
	}
	r := &release{Release: as}
	a.releases = append(a.releases, r)
	return r
}

// serve has a release be the one that serves. The caller holds w.mu.
func (a *app) serve(r *release) {
	now := time.Now().UTC()
	r.Status, r.FinishedAt, r.Digests = agent.ReleaseSucceeded, now, map[string]string{}
	for _, c := range r.Spec.Components {
		sum := sha256.Sum256([]byte(c.Image))
		r.Digests[c.Name] = "sha256:" + hex.EncodeToString(sum[:])
	}
	a.app.Release, a.app.Target, a.app.Status, a.app.Reason, a.app.Fix, a.begun = r.Number, 0, agent.AppRunning, "", "", now
	a.awake()
	message := fmt.Sprintf("release %d runs", r.Number)
	if at := a.address(r.Spec.Main()); at != "" {
		message = fmt.Sprintf("release %d serves at %s", r.Number, at)
	}
	r.finish("done", message)
}

// rollOut takes a release through its steps, as its image's name demands.
func (w apps) rollOut(name string, env agent.Environment, number int) {
	_, _ = w.update(name, env, func(a *app) {
		a.app.Target, a.app.Reason, a.app.Fix = number, "", ""
		if a.app.Status = agent.AppDeploying; a.app.Release != 0 {
			a.app.Status = agent.AppUpdating
		}
	})
	image := w.imagesOf(name, env, number)
	if !w.step(name, env, number, "resolve", "looked up "+image, 300*time.Millisecond) {
		return
	}
	if strings.Contains(image, "missing") {
		w.fail(name, env, number, &agent.Failure{
			Code: agent.CodeImagePull, Message: "the registry says: manifest unknown: " + image, Fix: "check the image's name, or load it: hks image load FILE.tar",
		})
		return
	}
	if !w.step(name, env, number, "apply", "applied the objects", 300*time.Millisecond) {
		return
	}
	if strings.Contains(image, "full") {
		_, _ = w.update(name, env, func(a *app) {
			a.app.Status, a.app.Reason, a.app.Fix = agent.AppPending, "no room: 0/1 nodes have 500m CPU free", "scale another app down: hks app scale"
		})
		if !w.step(name, env, number, "schedule", "waiting for room: 0/1 nodes have 500m CPU free", 20*time.Second) {
			return
		}
	}
	for _, s := range []struct{ step, message string }{
		{"schedule", "placed on node-1"}, {"pull", "pulling " + image}, {"start", "the container started"},
	} {
		if !w.step(name, env, number, s.step, s.message, 700*time.Millisecond) {
			return
		}
	}
	if strings.Contains(image, "crash") {
		code := 1
		w.fail(name, env, number, &agent.Failure{
			Code: agent.CodeRollout, Message: "the container crashed with exit code 1, three times in a row", Fix: "see why: hks app logs " + name + " --previous",
			ExitCode: &code, Logs: []string{"listening on :8080", "panic: no DATABASE_URL", "exit status 1"},
		})
		return
	}
	for _, s := range []struct{ step, message string }{{"ready", "all instances are ready"}, {"route", "the route answers"}} {
		if !w.step(name, env, number, s.step, s.message, 500*time.Millisecond) {
			return
		}
	}
	_, _ = w.update(name, env, func(a *app) {
		if r := a.releases[number-1]; !r.Status.Done() {
			a.serve(r)
		}
	})
	w.tellRelease(name, env, number, "info", "serves")
}

// imagesOf lists the images of a release, each once.
func (w apps) imagesOf(name string, env agent.Environment, number int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return ""
	}
	var images []string
	for _, c := range a.releases[number-1].Spec.Components {
		if !slices.Contains(images, c.Image) {
			images = append(images, c.Image)
		}
	}
	return strings.Join(images, ", ")
}

// step shows a step and passes its time; false when the release is over.
func (w apps) step(name string, env agent.Environment, number int, step, message string, d time.Duration) bool {
	going := false
	_, err := w.update(name, env, func(a *app) {
		r := a.releases[number-1]
		if going = !r.Status.Done(); going {
			r.Status = agent.ReleaseDeploying
			r.steps = append(r.steps, agent.Progress{Time: time.Now().UTC(), Step: step, Message: message})
		}
	})
	return err == nil && going && w.wait(w.life, d)
}

func (w apps) fail(name string, env agent.Environment, number int, failure *agent.Failure) {
	_, _ = w.update(name, env, func(a *app) {
		r := a.releases[number-1]
		r.Status, r.Failure, r.FinishedAt = agent.ReleaseFailed, failure, time.Now().UTC()
		a.app.Target = 0
		if a.app.Status = agent.AppRunning; a.app.Release == 0 {
			a.app.Status = agent.AppError
		}
		a.app.Reason, a.app.Fix = failure.Message, failure.Fix
		r.finish("failed", failure.Message)
	})
	w.tellRelease(name, env, number, "error", "failed: "+failure.Message)
}

func (r *release) finish(step, message string) {
	last := r.Release
	r.steps = append(r.steps, agent.Progress{Time: time.Now().UTC(), Step: step, Message: message, Release: &last, Done: true})
}

func (w apps) tellRelease(name string, env agent.Environment, number int, level, message string) {
	r, err := w.Release(w.life, name, env, number)
	if err != nil {
		return // the app is gone
	}
	w.publish("release", fmt.Sprintf("%s/%d", keyOf(name, env), number), r)
	w.tell(level, keyOf(name, env), r.By, fmt.Sprintf("release %d %s", number, message))
}

func (w apps) Releases(_ context.Context, name string, env agent.Environment) ([]agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return nil, err
	}
	var list []agent.Release
	for _, r := range slices.Backward(a.releases) {
		list = append(list, r.Release)
	}
	return list, nil
}

func (w apps) Release(_ context.Context, name string, env agent.Environment, number int) (agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return agent.Release{}, err
	}
	if number < 1 || number > len(a.releases) {
		return agent.Release{}, notFound(fmt.Sprintf("release %d of %s", number, name))
	}
	return a.releases[number-1].Release, nil
}

func (w apps) Rollback(ctx context.Context, name string, env agent.Environment, number int, by string) (agent.Release, error) {
	if number == 0 {
		now, err := w.Get(ctx, name, env)
		if err != nil {
			return agent.Release{}, err
		}
		if number = now.Release - 1; number < 1 {
			return agent.Release{}, &agent.Error{Code: agent.CodeConflict, Message: "there is no release before this one", Fix: "hks app releases " + name}
		}
	}
	before, err := w.Release(ctx, name, env, number)
	if err != nil {
		return agent.Release{}, err
	}
	return w.release(name, env, before.Spec, nil, agent.Release{Kind: "rollback", From: number, By: by})
}

// Move is refused: a made-up cluster has one machine.
func (w apps) Move(context.Context, string, agent.Environment, string, string) (agent.Release, error) {
	return agent.Release{}, errNoNodes
}

// PlanMove is refused too.
func (w apps) PlanMove(context.Context, string, agent.Environment, string) (agent.MovePlan, error) {
	return agent.MovePlan{}, errNoNodes
}

var errNoNodes = agent.Errorf(agent.CodeNotFound, "let a machine join with: hks node add NAME", "there is no dedicated node")

func (w apps) Promote(ctx context.Context, name string, from, to agent.Environment, by string) (agent.Release, error) {
	source, err := w.Get(ctx, name, from)
	if err != nil {
		return agent.Release{}, err
	}
	if from == to || source.Release == 0 {
		return agent.Release{}, &agent.Error{Code: agent.CodeConflict, Message: fmt.Sprintf("nothing of %s in %s can be promoted to %s", name, from, to), Fix: "see: hks releases " + name}
	}
	serving, err := w.Release(ctx, name, from, source.Release)
	if err != nil {
		return agent.Release{}, err
	}
	before := w.newest(name, to)
	spec := agent.Spec{Env: before.Env, Components: slices.Clone(serving.Spec.Components)}
	for i, c := range spec.Components {
		was, _ := before.Component(c.Name)
		spec.Components[i].Host = was.Host
	}
	return w.release(name, to, spec, nil, agent.Release{Kind: "promote", From: serving.Number, By: by})
}

// Again makes a release that failed once more.
func (w apps) Again(ctx context.Context, name string, env agent.Environment, number int, by string) (agent.Release, error) {
	return w.Rollback(ctx, name, env, number, by)
}

func (w apps) Diff(_ context.Context, name string, env agent.Environment, deploy agent.Deploy) ([]agent.Change, error) {
	before := w.newest(name, env)
	spec, err := complete(deploy, before)
	if err != nil {
		return nil, err
	}
	return compare(before, spec), nil
}

func (w apps) Progress(ctx context.Context, name string, env agent.Environment, number int) iter.Seq2[agent.Progress, error] {
	return func(yield func(agent.Progress, error) bool) {
		for seen := 0; ; {
			w.mu.Lock()
			a, err := w.find(name, env)
			var steps []agent.Progress
			if err == nil {
				steps = slices.Clone(a.releases[number-1].steps[seen:])
			}
			changed := w.changed
			w.mu.Unlock()
			if err != nil {
				yield(agent.Progress{}, err)
				return
			}
			for _, step := range steps {
				seen++
				if !yield(step, nil) || step.Done {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w apps) Logs(ctx context.Context, name string, env agent.Environment, query agent.LogQuery) iter.Seq2[agent.LogLine, error] {
	return func(yield func(agent.LogLine, error) bool) {
		now, err := w.Get(ctx, name, env)
		if err != nil {
			yield(agent.LogLine{}, err)
			return
		}
		if query.Previous {
			yield(agent.LogLine{}, &agent.Error{Code: agent.CodeNotFound, Message: "no instance of " + name + " crashed before", Fix: "leave out --previous"})
			return
		}
		tail := query.Tail
		if tail == 0 {
			tail = 200
		}
		begin := time.Now().Truncate(time.Second)
		line := func(at time.Time, instance string) agent.LogLine {
			words := []string{"GET / 200 1.2ms", "GET /healthz 200 0.1ms", "POST /orders 201 14ms", "GET /favicon.ico 404 0.2ms", "cache refreshed: 1,204 items"}
			return agent.LogLine{Time: at.UTC(), Instance: instance, Text: words[int(at.Unix())%len(words)]}
		}
		for i := tail; i > 0; i-- {
			at := begin.Add(-time.Duration(i) * time.Second)
			if query.Since != 0 && time.Since(at) > query.Since {
				continue
			}
			for _, instance := range wanted(now.Instances, query) {
				if !yield(line(at, instance.Name), nil) {
					return
				}
			}
		}
		for query.Follow && w.wait(ctx, time.Second) {
			now, err := w.Get(ctx, name, env)
			if err != nil {
				yield(agent.LogLine{}, err)
				return
			}
			for _, instance := range wanted(now.Instances, query) {
				if !yield(line(time.Now(), instance.Name), nil) {
					return
				}
			}
		}
	}
}

func wanted(instances []agent.Instance, query agent.LogQuery) []agent.Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i agent.Instance) bool {
		return query.Component != "" && i.Component != query.Component
	})
}
