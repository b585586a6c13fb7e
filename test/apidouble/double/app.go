package double

import (
	"cmp"
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
	replicas map[string]agent.Scale // asked for, by component; missing: 1
	ready    map[string]int         // by component
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

// usage of one instance goes up and down, differently for each component.
func (a *app) usage(component string, at time.Time) agent.Usage {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(a.app.Name + string(a.app.Environment) + component))
	phase := float64(hash.Sum32() % 100)
	swing := 1 + 0.4*math.Sin(float64(at.Unix())/60+phase) + 0.1*math.Sin(float64(at.Unix())/7)
	return agent.Usage{
		CPU: 0.08 * swing, Memory: int64(70e6 * (1 + 0.2*(swing-1))),
		CPULimit: 0.5, MemoryLimit: 256 << 20, SampledAt: at.UTC(),
	}
}

func times(u agent.Usage, n int) agent.Usage {
	u.CPU, u.CPULimit = u.CPU*float64(n), u.CPULimit*float64(n)
	u.Memory, u.MemoryLimit = u.Memory*int64(n), u.MemoryLimit*int64(n)
	return u
}

func plus(a, b agent.Usage) agent.Usage {
	return agent.Usage{
		CPU: a.CPU + b.CPU, CPULimit: a.CPULimit + b.CPULimit, Memory: a.Memory + b.Memory, MemoryLimit: a.MemoryLimit + b.MemoryLimit, SampledAt: b.SampledAt,
	}
}

// serving is the release that serves, else the newest.
func (a *app) serving() *release {
	if a.app.Release > 0 {
		return a.releases[a.app.Release-1]
	}
	return a.releases[len(a.releases)-1]
}

// asked is the number of replicas of a component.
func (a *app) asked(component string) int { return a.scale(component).Min }

func (a *app) scale(component string) agent.Scale {
	if s, ok := a.replicas[component]; ok {
		return s
	}
	return agent.Fixed(1)
}

// autoscale is as of a component that has little to do; a worker's CPU was
// not measured yet.
func (a *app) autoscale(component agent.Component) *agent.Autoscale {
	s := a.scale(component.Name)
	if !s.Auto() {
		return nil
	}
	seen := &agent.Autoscale{Min: s.Min, Max: s.Max, CPU: s.CPU}
	if now := 12; component.Port > 0 {
		seen.Now = &now
	} else {
		seen.Reason = "the CPU of its instances can't be read: no metrics were returned"
	}
	return seen
}

// awake has all instances of the release that serves ready.
func (a *app) awake() {
	a.ready = map[string]int{}
	for _, c := range a.serving().Spec.Components {
		a.ready[c.Name] = a.asked(c.Name)
	}
}

func (a *app) address(c agent.Component) string {
	if c.Path == "" {
		return ""
	}
	return "http://" + cmp.Or(c.Host, agent.HostLabel(a.app.Name, a.app.Environment)+".localhost") + strings.TrimSuffix(c.Path, "/")
}

func (a *app) snapshot(instances bool) agent.App {
	now, r, at := a.app, a.serving(), time.Now()
	main := r.Spec.Main()
	now.URL, now.Image, now.Digest = a.address(main), main.Image, r.Digests[main.Name]
	for _, c := range r.Spec.Components {
		one := agent.ComponentState{
			Name: c.Name, Image: c.Image, Digest: r.Digests[c.Name], URL: a.address(c), Port: c.Port,
			Replicas: a.asked(c.Name), Ready: a.ready[c.Name], Usage: times(a.usage(c.Name, at), a.ready[c.Name]), Autoscale: a.autoscale(c),
		}
		now.Components = append(now.Components, one)
		now.Replicas, now.Ready, now.Usage = now.Replicas+one.Replicas, now.Ready+one.Ready, plus(now.Usage, one.Usage)
		for i := range one.Ready {
			if !instances {
				break
			}
			now.Instances = append(now.Instances, agent.Instance{
				Name: a.instance(c.Name, i), Component: c.Name, Release: now.Release, Node: "node-1", Phase: "ready", Usage: a.usage(c.Name, at), StartedAt: a.begun,
			})
		}
	}
	return now
}

func (a *app) instance(component string, i int) string {
	return fmt.Sprintf("%s-6f%02x-%c%dx", agent.ComponentName(a.app.Name, a.app.Environment, component), a.app.Release, 'a'+rune(i%26), i)
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
		var usage agent.Usage
		for _, c := range a.serving().Spec.Components {
			usage = plus(usage, a.usage(c.Name, at))
		}
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
		w.later(1500*time.Millisecond, name, env, func(a *app) { a.app.Status, a.ready = agent.AppStopped, nil })
	}
	return now, err
}

func (w apps) StartApp(_ context.Context, name string, env agent.Environment, by string) (agent.App, error) {
	now, err := w.update(name, env, func(a *app) { a.app.Status = agent.AppDeploying })
	if err == nil {
		w.tell("info", keyOf(name, env), by, "started")
		w.later(2*time.Second, name, env, func(a *app) {
			a.app.Status, a.begun = agent.AppRunning, time.Now().UTC()
			a.awake()
		})
	}
	return now, err
}

func (w apps) Scale(ctx context.Context, name string, env agent.Environment, component string, to agent.Scale, by string) (agent.App, error) {
	if err := to.Validate(); err != nil {
		return agent.App{}, err
	}
	if limit := hobby().Pods; to.Max > limit {
		return agent.App{}, &agent.Error{
			Code: agent.CodeQuota, Message: fmt.Sprintf("the workspace may have %d pods", limit), Fix: "ask for fewer replicas",
			Details: map[string]any{"limit": limit, "asked": to.Max},
		}
	}
	before, err := w.Get(ctx, name, env)
	if err != nil {
		return agent.App{}, err
	}
	if component == "" && len(before.Components) == 1 {
		component = before.Components[0].Name
	}
	if !slices.ContainsFunc(before.Components, func(c agent.ComponentState) bool { return c.Name == component }) {
		return agent.App{}, &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("%s has no component %q", name, component), Fix: "see them with: hks app show " + name,
			Details: map[string]any{"field": "component"},
		}
	}
	now, err := w.update(name, env, func(a *app) { a.replicas[component], a.app.Status = to, agent.AppUpdating })
	if err == nil {
		w.tell("info", keyOf(name, env), by, fmt.Sprintf("scaled %s to %s", component, to))
		w.later(1500*time.Millisecond, name, env, func(a *app) { a.app.Status, a.ready[component] = agent.AppRunning, to.Min })
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
