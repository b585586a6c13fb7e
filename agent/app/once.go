package app

import (
	"context"
	"errors"

	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
)

// Task is the pod of a command that runs beside the instances of a component:
// with the image, the environment, the limits and the place of the release
// that serves.
func (m *Manager) Task(ctx context.Context, app string, env agent.Environment, component string, command []string) (*coreac.PodSpecApplyConfiguration, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return nil, err
	}
	if state.Serving == 0 {
		return nil, neverServed(k, state)
	}
	release, ok, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Serving)
	if err != nil || !ok {
		return nil, errors.Join(err, absentUnless(ok, k))
	}
	if component == "" {
		component = release.Spec.Main().Name
	}
	c, ok := release.Spec.Component(component)
	if !ok {
		return nil, noComponent(k, release.Spec, component)
	}
	workspace, err := m.workspace(ctx)
	if err != nil {
		return nil, err
	}
	p := part{desired{key: k, namespace: workspace.Name, podLevel: workspace.PodLevel, release: release}, c}
	container := p.container()
	switch {
	case len(command) > 0:
		container.WithCommand(command...)
	case len(c.Command) > 0:
		container.WithCommand(c.Command...)
	}
	pod := p.pod()
	pod.Containers = []coreac.ContainerApplyConfiguration{*container}
	return pod, nil
}
