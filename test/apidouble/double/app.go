package double

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// apps is api.Apps and api.Series.
type apps struct{ *world }

// app is one application with its releases, oldest first.
type app struct {
	app      agent.App
	releases []*release
	begun    time.Time
}

type release struct {
	agent.Release
	steps []agent.Progress
}

func keyOf(name string, env agent.Environment) string { return name + "/" + string(env) }

// find returns an app; the caller holds w.mu.
func (w apps) find(name string, env agent.Environment) (*app, error) {
	a, ok := w.apps[keyOf(name, env)]
	if !ok {
		return nil, notFound(fmt.Sprintf("app %s in %s", name, env))
	}
	return a, nil
}

func (w apps) List(context.Context) ([]agent.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []agent.App
	for _, a := range w.apps {
		list = append(list, a.snapshot(false))
	}
	slices.SortFunc(list, func(a, b agent.App) int {
		return strings.Compare(keyOf(a.Name, a.Environment), keyOf(b.Name, b.Environment))
	})
	return list, nil
}

func (w apps) Get(_ context.Context, name string, env agent.Environment) (agent.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return agent.App{}, err
	}
	return a.snapshot(true), nil
}

// usage goes up and down, differently for each app.
func (a *app) usage(at time.Time) agent.Usage {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(a.app.Name + string(a.app.Environment)))
	phase := float64(hash.Sum32() % 100)
	swing := 1 + 0.4*math.Sin(float64(at.Unix())/60+phase) + 0.1*math.Sin(float64(at.Unix())/7)
	return agent.Usage{
		CPU: 0.08 * swing, Memory: int64(70e6 * (1 + 0.2*(swing-1))),
		CPULimit: 0.5, MemoryLimit: 256 << 20, SampledAt: at.UTC(),
	}
}

func (a *app) snapshot(instances bool) agent.App {
	now := a.app
	usage := a.usage(time.Now())
	now.Usage = agent.Usage{
		CPU: usage.CPU * float64(now.Ready), Memory: usage.Memory * int64(now.Ready),
		CPULimit: usage.CPULimit * float64(now.Ready), MemoryLimit: usage.MemoryLimit * int64(now.Ready), SampledAt: usage.SampledAt,
	}
	if instances {
		for i := range now.Ready {
			now.Instances = append(now.Instances, agent.Instance{
				Name: a.instance(i), Release: now.Release, Node: "node-1", Phase: "ready", Usage: usage, StartedAt: a.begun,
			})
		}
	}
	return now
}

func (a *app) instance(i int) string {
	return fmt.Sprintf("%s-6f%02x-%c%dx", agent.ObjectName(a.app.Name, a.app.Environment), a.app.Release, 'a'+rune(i%26), i)
}

func (w apps) Series(name string, env agent.Environment, since time.Duration) []agent.Point {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.find(name, env)
	if err != nil {
		return nil
	}
	const every = 15 * time.Second
	var points []agent.Point
	end := time.Now().Truncate(every)
	for at := end.Add(-min(since, 24*time.Hour)); !at.After(end); at = at.Add(every) {
		usage := a.usage(at)
		points = append(points, agent.Point{Time: at.UTC(), CPU: usage.CPU, Memory: usage.Memory})
	}
	return points
}

// update changes an app and tells everyone. The caller does not hold w.mu.
func (w apps) update(name string, env agent.Environment, change func(*app)) (agent.App, error) {
	w.mu.Lock()
	a, err := w.find(name, env)
	if err != nil {
		w.mu.Unlock()
		return agent.App{}, err
	}
	change(a)
	a.app.UpdatedAt = time.Now().UTC()
	now := a.snapshot(true)
	w.wake()
	w.mu.Unlock()
	w.publish("app", keyOf(name, env), now)
	return now, nil
}

// later makes a change after a time, unless the app is gone by then.
func (w apps) later(d time.Duration, name string, env agent.Environment, change func(*app)) {
	w.jobs.Go(func() {
		if w.wait(w.life, d) {
			_, _ = w.update(name, env, change) // the app may be gone
		}
	})
}

func (w apps) RestartApp(_ context.Context, name string, env agent.Environment, by string) (agent.App, error) {
	now, err := w.update(name, env, func(a *app) { a.app.Status = agent.AppUpdating })
	if err == nil {
		w.tell("info", keyOf(name, env), by, "restarted")
		w.later(2*time.Second, name, env, func(a *app) { a.app.Status, a.begun = agent.AppRunning, time.Now().UTC() })
	}
	return now, err
}

func (w apps) StopApp(_ context.Context, name string, env agent.Environment, by string) (agent.App, error) {
	now, err := w.update(name, env, func(a *app) { a.app.Status = agent.AppStopping })
	if err == nil {
		w.tell("info", keyOf(name, env), by, "stopped")
		w.later(1500*time.Millisecond, name, env, func(a *app) { a.app.Status, a.app.Ready = agent.AppStopped, 0 })
	}
	return now, err
}

func (w apps) StartApp(_ context.Context, name string, env agent.Environment, by string) (agent.App, error) {
	now, err := w.update(name, env, func(a *app) { a.app.Status = agent.AppDeploying })
	if err == nil {
		w.tell("info", keyOf(name, env), by, "started")
		w.later(2*time.Second, name, env, func(a *app) {
			a.app.Status, a.app.Ready, a.begun = agent.AppRunning, a.app.Replicas, time.Now().UTC()
		})
	}
	return now, err
}

func (w apps) Scale(_ context.Context, name string, env agent.Environment, replicas int, by string) (agent.App, error) {
	if limit := hobby().Pods; replicas > limit {
		return agent.App{}, &agent.Error{
			Code: agent.CodeQuota, Message: fmt.Sprintf("the workspace may have %d pods", limit), Fix: "ask for fewer replicas",
			Details: map[string]any{"limit": limit, "asked": replicas},
		}
	}
	now, err := w.update(name, env, func(a *app) { a.app.Replicas, a.app.Status = replicas, agent.AppUpdating })
	if err == nil {
		w.tell("info", keyOf(name, env), by, fmt.Sprintf("scaled to %d", replicas))
		w.later(1500*time.Millisecond, name, env, func(a *app) { a.app.Status, a.app.Ready = agent.AppRunning, a.app.Replicas })
	}
	return now, err
}

func (w apps) Delete(_ context.Context, name string, env agent.Environment, by string) (agent.Deletion, error) {
	if _, err := w.update(name, env, func(a *app) { a.app.Status = agent.AppDeleting }); err != nil {
		return agent.Deletion{}, err
	}
	w.jobs.Go(func() {
		if !w.wait(w.life, time.Second) {
			return
		}
		w.mu.Lock()
		delete(w.apps, keyOf(name, env))
		w.wake()
		w.mu.Unlock()
		w.publish("app", keyOf(name, env), nil)
	})
	w.tell("info", keyOf(name, env), by, "deleted")
	object := agent.ObjectName(name, env)
	return agent.Deletion{Removed: []string{"Deployment/" + object, "Service/" + object, "Ingress/" + object}}, nil
}
