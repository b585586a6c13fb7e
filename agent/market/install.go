package market

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Install accepts a service: everything is checked first, and nothing is made
// when anything refuses it.
func (m *Manager) Install(ctx context.Context, r agent.ServiceRequest, by string) (agent.ServiceJob, error) {
	if err := validateName(r.Name); err != nil {
		return agent.ServiceJob{}, err
	}
	if strings.HasPrefix(r.Chart, "oci://") {
		name, err := m.pull(ctx, r.Chart, by)
		if err != nil {
			return agent.ServiceJob{}, err
		}
		r.Chart = name
	}
	chart, archive, err := m.catalogue.find(r.Chart)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	s := store.Service{
		Name: r.Name, Chart: chart.Name(), Version: chart.Version(), Archive: archive, Engine: engineOf(chart, archive),
		Values: maps.Clone(r.Values), User: "app_1", Status: agent.ServiceInstalling, By: by,
	}
	if s.Values == nil {
		s.Values = map[string]any{}
	}
	if archive == "" {
		s.Image, _ = chart.Values()["image"].(string)
	}
	if err := m.fits(chart, s); err != nil {
		return agent.ServiceJob{}, err
	}
	m.accepting.Lock()
	defer m.accepting.Unlock()
	before, ok, err := m.cfg.Store.Service(ctx, r.Name)
	switch {
	case err != nil:
		return agent.ServiceJob{}, err
	case ok && before.Status != agent.ServiceRemoved:
		return agent.ServiceJob{}, agent.Errorf(agent.CodeConflict, "choose another name, or change that one: hks market upgrade "+r.Name, "there is a service %s already", r.Name)
	case ok && (before.Chart != s.Chart || before.Archive != s.Archive):
		return agent.ServiceJob{}, agent.Errorf(agent.CodeConflict, "choose another name, or let go of it: hks market uninstall "+r.Name+" --purge", "the volume of an earlier %s called %s is still kept", before.Chart, r.Name)
	case ok && !sameMajor(chart, before, m.catalogue):
		return agent.ServiceJob{}, crossing(before.Name, chart)
	}
	if ok {
		s.User, s.OldUsers = before.User, before.OldUsers
	}
	if s.Storage, err = storageOf(chart, s.Values); err != nil {
		return agent.ServiceJob{}, err
	}
	if s.Storage < before.Storage {
		return agent.ServiceJob{}, smaller(r.Name, s.Storage, before.Storage)
	}
	if err := m.checkStorage(ctx, s.Storage-before.Storage, r.Name); err != nil {
		return agent.ServiceJob{}, err
	}
	if err := m.unused(ctx, r.Name); err != nil {
		return agent.ServiceJob{}, err
	}
	job, err := m.cfg.Store.AddService(ctx, s, installArgs{Fresh: !ok})
	if err != nil {
		return agent.ServiceJob{}, busy(r.Name, err)
	}
	m.accepted(ctx, job)
	return job, nil
}

// installArgs says whether the volume is new: one that never held anything
// goes with an install that fails.
type installArgs struct {
	Fresh bool `json:"fresh"`
}

func validateName(name string) error {
	if err := agent.ValidateName("service", name); err != nil {
		return err
	}
	for _, env := range []agent.Environment{agent.Staging, agent.Production} {
		if strings.Contains(name+"-", "-"+string(env)+"-") {
			return &agent.Error{
				Code: agent.CodeInvalid, Message: fmt.Sprintf("the name %q could be an app's in %s", name, env), Fix: "choose one without -" + string(env),
				Details: map[string]any{"field": "name", "value": name},
			}
		}
	}
	return nil
}

// unused refuses the name of a Service that is there already.
func (m *Manager) unused(ctx context.Context, name string) error {
	namespace, err := m.namespace(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err = m.cfg.Cluster.Interface().CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return agent.Errorf(agent.CodeConflict, "choose another name", "there is something called %s in the workspace already", name)
	}
	return kube.IgnoreNotFound(kube.Explain("looking whether the name is free", err))
}

// fits holds values against the chart's schema as they will be.
func (m *Manager) fits(chart *helm.Chart, s store.Service) error {
	if s.Archive == "" {
		for _, name := range platformValues {
			if _, set := s.Values[name]; set {
				return &agent.Error{Code: agent.CodeInvalid, Message: fmt.Sprintf("%s: it is set by the platform", name), Fix: "leave it out", Details: map[string]any{"field": name}}
			}
		}
	}
	return chart.Check(values(s))
}

// values are those of the owner with those of the platform.
func values(s store.Service) map[string]any {
	all := maps.Clone(s.Values)
	if s.Archive == "" {
		all["credentials"] = map[string]any{"secret": secretName(s.Name), "user": "app_1", "database": database}
		if selector, tolerations := placement(s.Place); selector != nil {
			all["placement"] = map[string]any{"nodeSelector": selector, "tolerations": tolerations}
		}
	}
	return all
}

// database is the name of the one database in a service.
const database = "app"

// checkStorage refuses what the plan has no storage for, before anything is
// made: more asks for that many bytes more than now.
func (m *Manager) checkStorage(ctx context.Context, more int64, name string) error {
	if more <= 0 {
		return nil
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return err
	}
	services, err := m.cfg.Store.Services(ctx)
	if err != nil {
		return err
	}
	var used int64 // what was accepted counts, whether its volume is there yet or not
	for _, s := range services {
		used += s.Storage
	}
	limit := ws.Plan.StorageBytes
	for _, r := range ws.Resources {
		if r.Name == "storage" {
			used = max(used, int64(r.Used))
			if r.Limit > 0 {
				limit = int64(r.Limit)
			}
		}
	}
	if limit == agent.Unlimited || used+more <= limit {
		return m.cfg.Volumes.Room(more)
	}
	fix := "make room (hks market uninstall NAME --purge removes a volume)"
	if free := limit - used; free >= 64<<20 {
		fix = fmt.Sprintf("ask for %s at most (--set storage=%dMi)", sizeText(free), free>>20)
	}
	return &agent.Error{
		Code:    agent.CodeQuotaStorage,
		Message: fmt.Sprintf("%s asks for %s of storage; %s of the %s plan's %s are used", name, sizeText(more), sizeText(used), ws.Plan.Name, sizeText(limit)),
		Fix:     fix + ", or take a larger plan: hks plan upgrade pro",
		Details: map[string]any{"used": used, "asked": more, "limit": limit, "plan": ws.Plan.Name},
	}
}

func sizeText(bytes int64) string {
	if bytes >= 1<<30 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/(1<<30)), ".0") + " GiB"
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

func smaller(name string, asked, has int64) error {
	return &agent.Error{
		Code: agent.CodeInvalid, Message: fmt.Sprintf("the volume of %s has %s and can't shrink to %s", name, sizeText(has), sizeText(asked)),
		Fix:     "keep its size, or restore a backup into a new, smaller instance",
		Details: map[string]any{"field": "storage", "asked": asked, "has": has},
	}
}

// pull fetches a chart of a registry and keeps it among the owner's own.
func (m *Manager) pull(ctx context.Context, reference, by string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	chart, data, err := helm.Pull(ctx, reference)
	if err != nil {
		return "", err
	}
	if _, err := m.catalogue.add(chart, data); err != nil {
		return "", err
	}
	m.tell(ctx, "market", "info", "chart "+reference+" pulled", by)
	return chart.Name(), nil
}

// install makes the credentials and the release, and sees it get ready.
func (w *worker) install(ctx context.Context, s store.Service) error {
	var args installArgs
	if err := w.cfg.Store.ServiceJobArgs(ctx, w.job.ID, &args); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	chart, err := w.catalogue.of(s)
	if err != nil {
		return err
	}
	recovered, err := w.cfg.Helm.Recover(ctx, namespace, s.Name)
	if err != nil {
		return err
	}
	if recovered == helm.RecoveredRemoved {
		if err := w.step(ctx, "removed an install that was cut off"); err != nil {
			return err
		}
	}
	if _, err := w.credentials(ctx, namespace, s); err != nil {
		return err
	}
	if recovered != helm.RecoveredNothing {
		if err := w.step(ctx, "installing %s %s and waiting until it is ready", chart.Name(), chart.Version()); err != nil {
			return err
		}
		if err := w.cfg.Helm.Install(ctx, helm.Release{Namespace: namespace, Name: s.Name, Chart: chart, Values: values(s)}); err != nil {
			return w.undoInstall(ctx, namespace, s, args, err)
		}
	}
	return w.step(ctx, "%s is ready", s.Name)
}

// undoInstall takes away what a failed install leaves, but for a volume that
// was there before.
func (w *worker) undoInstall(ctx context.Context, namespace string, s store.Service, args installArgs, cause error) error {
	if ctx.Err() != nil || agent.CodeOf(cause) == agent.CodeClusterAway {
		return cause // it is tried again
	}
	cause = w.withReason(ctx, namespace, s.Name, cause)
	if !args.Fresh {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	return errors.Join(cause, w.cfg.Helm.Uninstall(ctx, namespace, s.Name), w.dropVolume(ctx, namespace, s.Name))
}
