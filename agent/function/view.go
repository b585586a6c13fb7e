package function

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// List shows all functions, by name.
func (m *Manager) List(ctx context.Context) ([]agent.Function, error) {
	m.mu.Lock()
	names := slices.Sorted(maps.Keys(m.functions))
	m.mu.Unlock()
	list := []agent.Function{}
	for _, name := range names {
		f, err := m.Get(ctx, name)
		if agent.CodeOf(err) == agent.CodeNotFound {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		f.Key = ""
		list = append(list, f)
	}
	return list, nil
}

// Get shows one function, with the key that calls to it need.
func (m *Manager) Get(ctx context.Context, name string) (agent.Function, error) {
	letters, err := m.Letters(ctx, name)
	if err != nil {
		return agent.Function{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.functions[name]
	if f == nil {
		return agent.Function{}, agent.Errorf(agent.CodeNotFound, "hks function list shows what there is", "there is no function %s", name)
	}
	view := agent.Function{
		Name: name, Spec: f.spec, Version: f.Active, Variables: slices.Sorted(maps.Keys(f.Env)), Missing: missingOf(f),
		Instances: len(m.instances(f)), CreatedAt: f.CreatedAt, URL: m.url(name),
	}
	if view.Variables == nil {
		view.Variables = []string{}
	}
	if f.Active != 0 && !f.spec.Public {
		view.Key = string(f.Key)
	}
	for _, l := range letters {
		if l.Status == "dead" {
			view.Dead++
		} else {
			view.Waiting++
		}
	}
	return view, nil
}

// Logs opens what the instances of a function wrote, one after the other; with
// follow that of the newest as it comes.
func (m *Manager) Logs(ctx context.Context, name string, follow bool) (io.ReadCloser, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	pods := m.instances(&f)
	slices.SortFunc(pods, func(a, b *pod) int { return b.made.Compare(a.made) })
	m.mu.Unlock()
	if len(pods) == 0 {
		return nil, agent.Errorf(agent.CodeNotFound, "call it first: hks function invoke "+name, "%s has no instance now, so there is no log", name)
	}
	lines := int64(500)
	stream, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).GetLogs(pods[0].name, &corev1.PodLogOptions{Follow: follow, TailLines: &lines}).Stream(ctx)
	if err != nil {
		return nil, kube.Explain("reading the log of "+name, err)
	}
	return stream, nil
}

// Hosts are the names that functions are reached by.
func (m *Manager) Hosts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for name := range m.functions {
		list = append(list, m.host(name))
	}
	slices.Sort(list)
	return list
}

func (m *Manager) host(name string) string { return name + ".fn." + m.cfg.Domain }

func (m *Manager) url(name string) string {
	if m.cfg.Port == 0 {
		return "https://" + m.host(name)
	}
	return fmt.Sprintf("https://%s:%d", m.host(name), m.cfg.Port)
}

func hash(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// Settled tells whether all instances of the function are of its version and
// environment as they are now.
func (m *Manager) Settled(name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.functions[name]
	if f == nil {
		return false, agent.Errorf(agent.CodeNotFound, "hks function list shows what there is", "there is no function %s", name)
	}
	for _, p := range m.pool {
		if p.function == name && p.revision != f.Revision && p.revision != trial {
			return false, nil
		}
	}
	return true, nil
}
