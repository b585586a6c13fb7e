package double

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// workspaces is api.Workspaces.
type workspaces struct{ *world }

func hobby() agent.Plan {
	return agent.Plan{
		Name: "hobby", Workspaces: 1, Functions: 5, CronJobs: 10, StorageBytes: 10 << 30,
		Pods: 40, CPUPercent: 75, MemoryPercent: 75,
	}
}

func (w workspaces) Current(context.Context) (agent.Workspace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workspace == nil {
		return agent.Workspace{}, &agent.Error{Code: agent.CodeNotFound, Message: "there is no workspace yet", Fix: "hks workspace create NAME"}
	}
	return w.snapshot(), nil
}

// snapshot is the workspace with its use. The caller holds w.mu.
func (w workspaces) snapshot() agent.Workspace {
	now := *w.workspace
	var cpu, memory, pods float64
	for _, a := range w.apps {
		now := a.snapshot(false)
		cpu += now.Usage.CPULimit
		memory += float64(now.Usage.MemoryLimit)
		pods += float64(now.Ready)
	}
	now.Resources = []agent.Resource{
		{Name: "cpu", Unit: "cores", Used: cpu, Limit: 6},
		{Name: "memory", Unit: "bytes", Used: memory, Limit: 12 << 30},
		{Name: "storage", Unit: "bytes", Used: 0, Limit: float64(now.Plan.StorageBytes)},
		{Name: "pods", Unit: "count", Used: pods, Limit: float64(now.Plan.Pods)},
	}
	return now
}

func (w workspaces) Create(_ context.Context, name, by string) (agent.Workspace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workspace != nil && w.workspace.Status != agent.WorkspaceFailed {
		if w.workspace.Name == name {
			return w.snapshot(), nil
		}
		return agent.Workspace{}, &agent.Error{
			Code: agent.CodePlanLimit, Message: "the plan hobby allows 1 workspace, and there is one: " + w.workspace.Name,
			Fix: "use that one", Details: map[string]any{"limit": 1, "used": 1, "plan": "hobby"},
		}
	}
	w.workspace = &agent.Workspace{
		Name: name, Status: agent.WorkspaceCreating, Plan: hobby(), PodLevel: "restricted", CreatedAt: time.Now().UTC(),
	}
	w.jobs.Go(func() { w.build(name, by, "created") })
	return w.snapshot(), nil
}

func (w workspaces) Rename(_ context.Context, name, by string) (agent.Workspace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.workspace == nil:
		return agent.Workspace{}, notFound("workspace")
	case len(w.apps) > 0:
		return agent.Workspace{}, &agent.Error{
			Code: agent.CodeConflict, Message: "the workspace can't be renamed: something is deployed in it", Fix: "delete the apps first, or keep the name",
		}
	case w.workspace.Status != agent.WorkspaceReady:
		return agent.Workspace{}, &agent.Error{Code: agent.CodeConflict, Message: "the workspace is still being made", Fix: "wait a moment"}
	}
	w.workspace.Status = agent.WorkspaceRenaming
	w.jobs.Go(func() { w.build(name, by, "renamed") })
	return w.snapshot(), nil
}

func (w workspaces) build(name, by, done string) {
	for _, step := range []string{"namespace", "quota and limits", "network policies", "access"} {
		w.change(func(now *agent.Workspace) { now.Step = "making the " + step })
		if !w.wait(w.life, 500*time.Millisecond) {
			return
		}
		if step == "network policies" && w.breaks(name) {
			w.change(func(now *agent.Workspace) {
				now.Status, now.Step = agent.WorkspaceFailed, ""
				now.Reason, now.Fix = "the Kubernetes API stopped answering", "try again: hks workspace create "+name
			})
			w.tell("error", name, by, "the workspace could not be made: the Kubernetes API stopped answering")
			return
		}
	}
	w.change(func(now *agent.Workspace) {
		now.Name, now.Status, now.Step, now.Reason, now.Fix = name, agent.WorkspaceReady, "", "", ""
	})
	w.tell("info", name, by, "the workspace was "+done)
}

func (w workspaces) breaks(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := strings.Contains(name, "broken") && !w.broken[name]
	w.broken[name] = true
	return first
}

func (w workspaces) change(change func(*agent.Workspace)) {
	w.mu.Lock()
	change(w.workspace)
	now := w.snapshot()
	w.mu.Unlock()
	w.publish("workspace", now.Name, now)
}

func (w workspaces) Kubeconfig(ctx context.Context) ([]byte, error) {
	now, err := w.Current(ctx)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: hks\nclusters:\n- name: hks\n  cluster: {server: 'https://127.0.0.1:6443'}\n"+
		"contexts:\n- name: hks\n  context: {cluster: hks, user: owner, namespace: %s}\nusers:\n- name: owner\n  user: {token: made-up}\n", now.Name), nil
}
