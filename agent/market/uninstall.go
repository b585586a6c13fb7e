package market

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Uninstall accepts the removal of a service. Its volume and backups stay for
// the grace time, unless purge; one that apps are bound to is refused unless
// force, which takes their variables away first.
func (m *Manager) Uninstall(ctx context.Context, name string, force, purge bool, by string) (agent.ServiceJob, error) {
	s, err := m.service(ctx, name)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	if s.Status == agent.ServiceRemoved && !purge {
		return agent.ServiceJob{}, agent.Errorf(agent.CodeConflict, "let go of its volume too: hks market uninstall "+name+" --purge", "%s is removed already", name)
	}
	bindings, err := m.liveBindings(ctx, name)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	if len(bindings) > 0 && !force {
		var apps []string
		for _, b := range bindings {
			apps = append(apps, b.App+"/"+string(b.Environment))
		}
		return agent.ServiceJob{}, &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("%s is bound to %s", name, strings.Join(apps, ", ")),
			Fix:     fmt.Sprintf("take it out of them first (hks unbind %s %s), or insist: hks market uninstall %s --force", bindings[0].App, name, name),
			Details: map[string]any{"apps": apps},
		}
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindUninstall, By: by}, uninstallArgs{Purge: purge}, agent.ServiceDeleting)
}

// liveBindings are those of a service whose app is still there; the others go.
func (m *Manager) liveBindings(ctx context.Context, name string) ([]agent.Binding, error) {
	bindings, err := m.cfg.Store.Bindings(ctx, name)
	if err != nil {
		return nil, err
	}
	live := []agent.Binding{}
	for _, b := range bindings {
		_, err := m.cfg.Apps.EnvNames(ctx, b.App, b.Environment)
		switch {
		case agent.CodeOf(err) == agent.CodeNotFound:
			if err := m.cfg.Store.RemoveBinding(ctx, name, b.App, b.Environment); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			live = append(live, b)
		}
	}
	return live, nil
}

type uninstallArgs struct {
	Purge bool `json:"purge"`
}

// uninstall takes bindings out, then the release, then what is not kept.
func (w *worker) uninstall(ctx context.Context, s store.Service) error {
	var args uninstallArgs
	if err := w.cfg.Store.ServiceJobArgs(ctx, w.job.ID, &args); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	bindings, err := w.cfg.Store.Bindings(ctx, s.Name)
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if _, err := w.Unbind(ctx, s.Name, b.App, b.Environment, w.job.By); err != nil && agent.CodeOf(err) != agent.CodeNotFound {
			return err
		}
	}
	if err := w.step(ctx, "removing %s", s.Name); err != nil {
		return err
	}
	if err := w.cfg.Helm.Uninstall(ctx, namespace, s.Name); err != nil {
		return err
	}
	if args.Purge {
		return w.purge(ctx, namespace, s)
	}
	s.Status, s.KeptUntil = agent.ServiceRemoved, w.cfg.Now().Add(w.cfg.Grace)
	if err := w.cfg.Store.PutService(ctx, s); err != nil {
		return err
	}
	return w.step(ctx, "removed; its volume and backups stay until %s", s.KeptUntil.Format("2006-01-02 15:04 MST"))
}

// purge lets go of everything: volume, credentials, backups.
func (w *worker) purge(ctx context.Context, namespace string, s store.Service) error {
	if err := w.dropVolume(ctx, namespace, s.Name); err != nil {
		return err
	}
	backups, err := w.cfg.Store.Backups(ctx, s.Name)
	if err != nil {
		return err
	}
	for _, b := range backups {
		if err := w.dropBackup(ctx, b); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(w.backupFolder(s.Name)); err != nil {
		return fmt.Errorf("removing the folder of backups: %w", err)
	}
	if err := w.step(ctx, "removed with its volume and %s", countOf(len(backups), "backup")); err != nil {
		return err
	}
	return w.cfg.Store.ForgetService(ctx, s.Name)
}

// ClaimName is the name of the claim of a service's volume.
func ClaimName(service string) string { return service + "-data" }

// dropVolume removes a service's volume and credentials.
func (m *Manager) dropVolume(ctx context.Context, namespace, name string) error {
	core := m.cfg.Cluster.Interface().CoreV1()
	return errors.Join(
		m.cfg.Volumes.Discard(ctx, namespace, ClaimName(name)),
		kube.Delete(ctx, core.Secrets(namespace), "removing the credentials of "+name, secretName(name)))
}
