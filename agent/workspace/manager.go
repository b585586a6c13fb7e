package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Manager owns the workspace. Its methods only write the row and wake the one
// worker, which does all the work in the cluster.
type Manager struct {
	cfg  Config
	wake chan struct{}
	stop context.CancelFunc // set by Start
	done chan struct{}

	mu    sync.Mutex // guards the row's read-modify-write and the fields below
	usage usage
	refit bool // the limits are to be put right soon
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Cluster == nil || cfg.Store == nil || cfg.Plans == nil || cfg.Occupant == nil {
		return nil, errors.New("the workspace needs a cluster, a store, plans and an occupant")
	}
	if _, err := cfg.Plans.Lookup(cfg.Plan); err != nil {
		return nil, fmt.Errorf("choosing the workspace's plan: %w", err)
	}
	if cfg.ClusterNets == nil {
		cfg.ClusterNets = []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.43.0.0/16")}
	}
	if cfg.HostAddresses == nil {
		cfg.HostAddresses = interfaceAddresses
	}
	if cfg.Server == nil {
		cfg.Server = func() string { return "" }
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Minute)
	cfg.Patience = cmp.Or(cfg.Patience, time.Minute) // the engine restarts in less
	cfg.Poll = cmp.Or(cfg.Poll, 200*time.Millisecond)
	cfg.Refresh = cmp.Or(cfg.Refresh, 10*time.Second)
	cfg.Repair = cmp.Or(cfg.Repair, 5*time.Minute)
	return &Manager{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Start begins the worker, which first resumes what was interrupted.
func (m *Manager) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.done = cancel, make(chan struct{})
	go func() {
		defer close(m.done)
		m.work(ctx)
	}()
	return nil
}

// Stop ends the worker; what it was doing resumes at the next start.
func (m *Manager) Stop(ctx context.Context) error {
	if m.stop == nil {
		return nil
	}
	m.stop()
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the workspace's worker: %w", ctx.Err())
	}
}

// Current returns the workspace with the quota's use.
func (m *Manager) Current(ctx context.Context) (agent.Workspace, error) {
	row, err := m.row(ctx)
	if err != nil {
		return agent.Workspace{}, err
	}
	if row.Status == agent.WorkspaceReady || row.Status == agent.WorkspaceRenaming {
		m.refresh(ctx, row.Name)
	}
	return m.view(row)
}

// Create begins to make the workspace, or to make it again after a failure.
// Asking again for the one that is there is fine; another one is more than
// the plan allows.
func (m *Manager) Create(ctx context.Context, name, by string) (agent.Workspace, error) {
	if err := checkName(name); err != nil {
		return agent.Workspace{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok, err := m.cfg.Store.Workspace(ctx)
	if err != nil {
		return agent.Workspace{}, err
	}
	switch {
	case !ok:
		row = store.Workspace{Plan: m.cfg.Plan, CreatedAt: m.cfg.Now()}
	case row.Status == agent.WorkspaceFailed:
		// tried again below, under this name or another
	case row.Name == name || row.RenameTo == name:
		return m.viewLocked(row)
	default:
		return agent.Workspace{}, m.limitReached(row)
	}
	row.Name, row.Status, row.PodLevel, row.By = name, agent.WorkspaceCreating, podLevel, by
	row.Step, row.Reason, row.Fix, row.RenameTo = "", "", "", ""
	row.Deadline = m.cfg.Now().Add(m.cfg.Timeout)
	return m.put(ctx, row)
}

// Rename begins to give the workspace another name, which its namespace
// follows. It is refused once anything is deployed.
func (m *Manager) Rename(ctx context.Context, name, by string) (agent.Workspace, error) {
	if err := checkName(name); err != nil {
		return agent.Workspace{}, err
	}
	if err := m.mustBeEmpty(ctx); err != nil {
		return agent.Workspace{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok, err := m.cfg.Store.Workspace(ctx)
	switch {
	case err != nil:
		return agent.Workspace{}, err
	case !ok || row.Status == agent.WorkspaceFailed:
		return agent.Workspace{}, agent.Errorf(agent.CodeWorkspaceMissing, "create the workspace under the name you want",
			"there is no workspace to rename")
	case row.Name == name && row.RenameTo == "", row.RenameTo == name:
		return m.viewLocked(row)
	case row.Status == agent.WorkspaceRenaming:
		return agent.Workspace{}, agent.Errorf(agent.CodeConflict, "wait until that is done",
			"the workspace is being renamed to %s", row.RenameTo)
	}
	row.RenameTo, row.By = name, by
	if row.Name == name {
		row.RenameTo = "" // takes an earlier wish back
	}
	if row.Status == agent.WorkspaceReady { // else the worker goes on to it when the workspace is made
		beginRename(&row, m.cfg.Now().Add(m.cfg.Timeout))
	}
	return m.put(ctx, row)
}

func beginRename(row *store.Workspace, deadline time.Time) {
	row.Status, row.Step, row.Reason, row.Fix, row.Deadline = agent.WorkspaceRenaming, "", "", "", deadline
}

func (m *Manager) mustBeEmpty(ctx context.Context) error {
	occupied, err := m.cfg.Occupant.Occupied(ctx)
	if err != nil {
		return fmt.Errorf("looking for apps in the workspace: %w", err)
	}
	if occupied {
		return agent.Errorf(agent.CodeConflict, "delete the apps first, or keep the name",
			"the workspace can't be renamed any more: apps are deployed in it")
	}
	return nil
}

func (m *Manager) limitReached(row store.Workspace) error {
	plan, err := m.cfg.Plans.Lookup(row.Plan)
	if err != nil {
		return err
	}
	return &agent.Error{
		Code: agent.CodePlanLimit,
		Message: fmt.Sprintf("the %s plan allows %d workspace, and %s is there: its limit \"workspaces\" is reached",
			plan.Name, plan.Workspaces, row.Name),
		Fix:     "use the workspace " + row.Name + ", or rename it while nothing is deployed in it",
		Details: map[string]any{"plan": plan.Name, "limit": "workspaces", "allowed": plan.Workspaces, "used": 1},
	}
}

// reserved are names of namespaces that belong to the cluster or to hks.
var reserved = []string{"default", "hks", "system"}

func checkName(name string) error {
	if err := agent.ValidateName("workspace", name); err != nil {
		return err
	}
	if slices.Contains(reserved, name) || strings.HasPrefix(name, "kube-") || strings.HasPrefix(name, "hks-") {
		return &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("the workspace name %q is kept for the system", name),
			Fix:     "choose a name that is none of " + strings.Join(reserved, ", ") + " and does not begin with kube- or hks-",
			Details: map[string]any{"field": "name", "value": name},
		}
	}
	return nil
}

func (m *Manager) row(ctx context.Context) (store.Workspace, error) {
	row, ok, err := m.cfg.Store.Workspace(ctx)
	if err != nil {
		return store.Workspace{}, err
	}
	if !ok {
		return store.Workspace{}, agent.Errorf(agent.CodeNotFound, "create it with hks workspace create NAME",
			"there is no workspace yet")
	}
	return row, nil
}

// put writes the row, tells listeners and wakes the worker. The caller holds mu.
func (m *Manager) put(ctx context.Context, row store.Workspace) (agent.Workspace, error) {
	if err := m.cfg.Store.PutWorkspace(ctx, row); err != nil {
		return agent.Workspace{}, err
	}
	view, err := m.viewLocked(row)
	if err != nil {
		return agent.Workspace{}, err
	}
	m.cfg.Publish("workspace", row.Name, view)
	select {
	case m.wake <- struct{}{}:
	default: // it is awake
	}
	return view, nil
}

// change is the worker's way to write the row: what it knows of it may be old.
func (m *Manager) change(ctx context.Context, change func(*store.Workspace)) (store.Workspace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, err := m.row(ctx)
	if err != nil {
		return row, err
	}
	before := row
	change(&row)
	if row == before {
		return row, nil
	}
	_, err = m.put(ctx, row)
	return row, err
}

func (m *Manager) view(row store.Workspace) (agent.Workspace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.viewLocked(row)
}

func (m *Manager) viewLocked(row store.Workspace) (agent.Workspace, error) {
	plan, err := m.cfg.Plans.Lookup(row.Plan)
	if err != nil {
		return agent.Workspace{}, err
	}
	w := agent.Workspace{
		Name: row.Name, Status: row.Status, Step: row.Step, Reason: row.Reason, Fix: row.Fix,
		Plan: plan, PodLevel: row.PodLevel, Resources: []agent.Resource{}, CreatedAt: row.CreatedAt,
	}
	if m.usage.namespace == row.Name {
		w.Resources = slices.Clone(m.usage.resources)
	}
	return w, nil
}
