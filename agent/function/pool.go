package function

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

const (
	lookQuiet  = 5 * time.Second        // between looks at the pool when nothing is asked for
	lookBusy   = 300 * time.Millisecond // while a pod is on its way
	refillWait = time.Second            // after a claim: a refill must not compete with the call that is served
	busyTime   = 2 * time.Minute        // after a claim in which two pods are kept free
	startTime  = 2 * time.Minute        // in which a new pod must be ready
)

// nudge has the pool looked at soon.
func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default: // it will be already
	}
}

// keepPool makes pods ready in advance, takes up those that are there, and lets
// idle ones go.
func (m *Manager) keepPool(ctx context.Context) {
	for {
		busy, err := m.look(ctx)
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("the pool of functions can't be kept", "err", err)
		}
		pause := lookQuiet
		if busy {
			pause = lookBusy
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// look compares the pool with what is wanted once; busy while something moves.
func (m *Manager) look(ctx context.Context) (busy bool, err error) {
	m.mu.Lock()
	quiet := len(m.functions) == 0 && len(m.pool) == 0 && len(m.wanted) == 0
	m.mu.Unlock()
	namespace, err := m.namespace(ctx)
	if err != nil || quiet && namespace == "" {
		if agent.CodeOf(err) == agent.CodeWorkspaceMissing || agent.CodeOf(err) == agent.CodeNotFound {
			return false, nil // there is nothing to keep yet
		}
		return false, err
	}
	m.recall(ctx)
	listing, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	asked := m.cfg.Now()
	list, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).List(listing, metav1.ListOptions{LabelSelector: agent.LabelRuntime})
	if err != nil {
		return false, kube.Explain("looking at the instances of functions", err)
	}
	gone := m.adopt(list.Items, asked)
	for _, name := range gone {
		m.remove(ctx, name)
	}
	m.idle(ctx)
	missing, pending := m.lacking()
	for _, c := range missing {
		if err := m.create(ctx, namespace, c); err != nil {
			if agent.CodeOf(err) == agent.CodeQuota {
				m.makeRoom(ctx, c)
			}
			return true, err
		}
	}
	m.warm()
	if err := m.push(ctx); err != nil {
		m.cfg.Log.Warn("the gateway can't be told of functions", "err", err)
	}
	return pending || len(missing) > 0, nil
}

// recall asks the gateway, once, which pods have served a function under an
// agent before: one that was not marked yet when that agent ended would be taken
// for free.
func (m *Manager) recall(ctx context.Context) {
	m.mu.Lock()
	done := m.serving != nil
	m.mu.Unlock()
	if done {
		return
	}
	loads, err := m.cfg.Gateway.FunctionLoads(ctx)
	if err != nil {
		return // it is asked again; without a gateway nothing is under way
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serving = map[string]bool{}
	for address := range loads {
		m.serving[address] = true
	}
}

// adopt takes the cluster's word for which pods there are. It returns those
// that are to be removed.
func (m *Manager) adopt(items []corev1.Pod, asked time.Time) (gone []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := make(map[string]bool, len(items))
	for i := range items {
		p, ok := podOf(&items[i])
		if !ok || ended(&items[i]) {
			if items[i].DeletionTimestamp == nil {
				gone = append(gone, items[i].Name)
			}
			continue
		}
		seen[p.name] = true
		if known := m.pool[p.name]; known != nil {
			known.ip, known.ready = p.ip, p.ready
			p = known
		} else {
			if p.function == "" && m.serving[p.address()] {
				p.taken, p.retired = true, asked // it goes when its calls have ended
			}
			m.pool[p.name] = p
		}
		if !p.taken && !p.ready && asked.Sub(p.made) > startTime {
			gone = append(gone, p.name)
		}
	}
	for name, p := range m.pool {
		if !seen[name] && p.made.Before(asked) {
			delete(m.pool, name)
		}
	}
	for _, p := range m.pool {
		if f := m.functions[p.function]; p.function != "" && (f == nil || p.revision != trial && p.revision != f.Revision) && p.retired.IsZero() {
			p.retired = m.cfg.Now()
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return gone
}

// lacking are the classes of which a free pod is to be made.
func (m *Manager) lacking() (missing []class, pending bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	want := map[class]int{}
	for _, f := range m.functions {
		if f.Active != 0 {
			want[class{f.spec.Runtime, f.spec.Memory}] = 1
		}
	}
	for c, last := range m.wanted {
		if now.Sub(last) > busyTime {
			delete(m.wanted, c)
			continue
		}
		want[c] = 2
	}
	for c, n := range want {
		ready := 0
		for _, p := range m.pool {
			if p.class == c && !p.taken && p.retired.IsZero() {
				n--
				if p.ready {
					ready++
				} else {
					pending = true
				}
			}
		}
		if ready > 0 && now.Sub(m.wanted[c]) < refillWait {
			pending = true // soon
			continue
		}
		for ; n > 0; n-- {
			missing = append(missing, c)
		}
	}
	return missing, pending
}

// makeRoom gives up a free pod of another class, for one that is asked for.
func (m *Manager) makeRoom(ctx context.Context, wanted class) {
	m.mu.Lock()
	name := ""
	for _, p := range m.pool {
		if _, busy := m.wanted[p.class]; p.class != wanted && !busy && !p.taken {
			p.taken, name = true, p.name
			break
		}
	}
	m.mu.Unlock()
	if name != "" {
		m.remove(ctx, name)
	}
}

// warm claims what minWarm asks for.
func (m *Manager) warm() {
	m.mu.Lock()
	var lacking []string
	for _, f := range m.functions {
		if f.Active != 0 && len(missingOf(f)) == 0 && len(m.instances(f))+f.claiming < f.spec.MinWarm {
			lacking = append(lacking, f.Name)
		}
	}
	m.mu.Unlock()
	for _, name := range lacking {
		m.background(func(ctx context.Context) {
			if err := m.Prewarm(ctx, name); err != nil && ctx.Err() == nil {
				m.cfg.Log.Warn("a function can't be kept warm", "function", name, "err", err)
			}
		})
	}
}

// Prewarm gives the function an instance unless it has one or one is on its way.
func (m *Manager) Prewarm(ctx context.Context, name string) error {
	m.mu.Lock()
	f := m.functions[name]
	enough := f != nil && len(m.instances(f))+f.claiming >= max(1, f.spec.MinWarm)
	m.mu.Unlock()
	if enough {
		return nil
	}
	if _, _, err := m.Claim(ctx, name); err != nil {
		return err
	}
	return m.push(ctx)
}

// idle lets go of instances that nobody called for their window, and of
// retired ones that have nothing under way.
func (m *Manager) idle(ctx context.Context) {
	type candidate struct {
		pod    pod
		window time.Duration
	}
	var idle, retired []candidate
	m.mu.Lock()
	now := m.cfg.Now()
	for _, p := range m.pool {
		f := m.functions[p.function]
		switch {
		case !p.retired.IsZero():
			limit := time.Duration(maxTimeout) * time.Second
			if f != nil {
				limit = time.Duration(f.spec.Timeout) * time.Second
			}
			retired = append(retired, candidate{*p, limit})
		case f != nil && p.function != "" && len(m.instances(f)) > f.spec.MinWarm && now.Sub(p.made) > time.Duration(f.spec.Idle)*time.Second:
			idle = append(idle, candidate{*p, time.Duration(f.spec.Idle) * time.Second})
		}
	}
	m.mu.Unlock()
	for _, c := range idle {
		released, err := m.cfg.Gateway.ReleaseFunction(ctx, c.pod.function, c.pod.address(), c.window)
		if err == nil && released {
			m.remove(ctx, c.pod.name)
		}
	}
	if len(retired) == 0 {
		return
	}
	// Told first, so that none of them gets another call.
	if err := m.push(ctx); err != nil {
		return
	}
	loads, err := m.cfg.Gateway.FunctionLoads(ctx)
	for _, c := range retired {
		if err == nil && loads[c.pod.address()].InFlight == 0 || now.Sub(c.pod.retired) > c.window {
			m.remove(ctx, c.pod.name)
		}
	}
}

// Broken takes an instance out of use that did not end a call in time, or does
// not answer; what else it does ends with it.
func (m *Manager) Broken(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pool {
		if p.function != "" && p.address() == address {
			p.retired = m.cfg.Now().Add(-maxTimeout * time.Second)
		}
	}
	m.nudge()
}

// push tells the gateway what there is.
func (m *Manager) push(ctx context.Context) error {
	m.mu.Lock()
	m.seq++
	table := agent.FunctionTable{Seq: m.seq, Functions: []agent.FunctionRoute{}}
	for _, f := range m.functions {
		if f.Active == 0 {
			continue
		}
		route := agent.FunctionRoute{
			Name: f.Name, Host: m.host(f.Name), Version: f.Active, Concurrency: f.spec.Concurrency, MaxInstances: f.spec.MaxInstances,
			Timeout: f.spec.Timeout, Instances: []string{},
		}
		if !f.spec.Public {
			route.KeyHash = hash(f.Key)
		}
		for _, p := range m.instances(f) {
			route.Instances = append(route.Instances, p.address())
		}
		slices.Sort(route.Instances)
		table.Functions = append(table.Functions, route)
	}
	m.mu.Unlock()
	return m.cfg.Gateway.SetFunctions(ctx, table)
}
