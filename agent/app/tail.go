package app

import (
	"context"

	"hks.dev/hks/agent"
)

// Tail reads the last lines of an app's instance, for reports that leave the
// appliance: values of the environment are taken out. Without an answer there
// are none.
func (m *Manager) Tail(ctx context.Context, app string, env agent.Environment, pod string, previous bool, lines int) []string {
	_, state, err := m.existing(ctx, app, env)
	if err != nil {
		return nil
	}
	workspace, err := m.workspace(ctx)
	if err != nil {
		return nil
	}
	last := m.lastLines(ctx, workspace.Name, pod, previous)
	told := agent.Failure{Logs: last[max(len(last)-lines, 0):]}
	hideValues(&told, state.Current.Spec.Env)
	hideValues(&told, state.Newest.Spec.Env)
	return told.Logs
}
