package market

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Upgrade accepts other values or the newest version of the chart.
func (m *Manager) Upgrade(ctx context.Context, name string, u agent.ServiceUpgrade, by string) (agent.ServiceJob, error) {
	m.accepting.Lock()
	defer m.accepting.Unlock()
	next, _, err := m.next(ctx, name, u)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindUpgrade, By: by},
		upgradeArgs{Version: next.Version, Archive: next.Archive, Image: next.Image, Values: next.Values, Storage: next.Storage}, agent.ServiceUpdating)
}

// upgradeArgs is what the service is to be after the upgrade.
type upgradeArgs struct {
	Version string         `json:"version"`
	Archive string         `json:"archive"`
	Image   string         `json:"image"`
	Values  map[string]any `json:"values"`
	Storage int64          `json:"storage"`
}

// UpgradeDiff tells what an upgrade would change in the cluster.
func (m *Manager) UpgradeDiff(ctx context.Context, name string, u agent.ServiceUpgrade) ([]agent.Change, error) {
	next, chart, err := m.next(ctx, name, u)
	if err != nil {
		return nil, err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return nil, err
	}
	return m.cfg.Helm.Diff(ctx, helm.Release{Namespace: namespace, Name: name, Chart: chart, Values: values(next)})
}

// next is the service as an upgrade asks for it, checked.
func (m *Manager) next(ctx context.Context, name string, u agent.ServiceUpgrade) (store.Service, *helm.Chart, error) {
	fail := func(err error) (store.Service, *helm.Chart, error) { return store.Service{}, nil, err }
	s, err := m.installed(ctx, name)
	if err != nil {
		return fail(err)
	}
	chart, err := m.catalogue.of(s)
	if err != nil {
		return fail(err)
	}
	if u.Latest {
		newest, archive, err := m.catalogue.find(s.Chart)
		if err != nil {
			return fail(err)
		}
		if !sameMajor(newest, s, m.catalogue) {
			return fail(crossing(name, newest))
		}
		chart, s.Archive = newest, archive
	}
	s.Version = chart.Version()
	if s.Archive == "" {
		s.Image, _ = chart.Values()["image"].(string)
	}
	merged := maps.Clone(s.Values)
	for key, value := range u.Values {
		if value == nil {
			delete(merged, key) // back to the chart's own
			continue
		}
		merged[key] = value
	}
	s.Values = merged
	if err := m.fits(chart, s); err != nil {
		return fail(err)
	}
	has := s.Storage
	if s.Storage, err = storageOf(chart, s.Values); err != nil {
		return fail(err)
	}
	if s.Storage < has {
		return fail(smaller(name, s.Storage, has))
	}
	if s.Storage > has {
		if err := m.growable(ctx, name); err != nil {
			return fail(err)
		}
	}
	return s, chart, m.checkStorage(ctx, s.Storage-has, name)
}

// growable refuses to grow a volume of a class that can't: one from before hks
// made its own.
func (m *Manager) growable(ctx context.Context, name string) error {
	namespace, err := m.namespace(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	claim, err := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(namespace).Get(ctx, ClaimName(name), metav1.GetOptions{})
	if err != nil { // one that is to be made yet has the right class
		return kube.IgnoreNotFound(kube.Explain("looking at the volume of "+name, err))
	}
	if class := claim.Spec.StorageClassName; class != nil && *class != "" && *class != agent.StorageClass {
		return agent.Errorf(agent.CodeConflict, "install a new, larger instance and restore a backup into it", "the volume of %s is of the class %s, whose volumes can't grow", name, *class)
	}
	return nil
}

// sameMajor tells whether a chart's server reads the data of a service's.
func sameMajor(chart *helm.Chart, s store.Service, c *catalogue) bool {
	now, err := c.of(s)
	return err != nil || now.Annotation(noteMajor) == chart.Annotation(noteMajor)
}

func crossing(name string, chart *helm.Chart) error {
	return agent.Errorf(agent.CodeConflict, "install the new version beside it and restore a backup into that",
		"%s can't become %s %s: its data is of another major version, and would not be read", name, chart.Name(), chart.Annotation(noteMajor))
}

// upgrade brings the release there; one that does not get ready is rolled
// back, and then the service is as it was.
func (w *worker) upgrade(ctx context.Context, s store.Service) error {
	var args upgradeArgs
	if err := w.cfg.Store.ServiceJobArgs(ctx, w.job.ID, &args); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	recovered, err := w.cfg.Helm.Recover(ctx, namespace, s.Name)
	if err != nil {
		return err
	}
	if recovered == helm.RecoveredRollback {
		if err := w.step(ctx, "took back an upgrade that was cut off"); err != nil {
			return err
		}
	}
	if _, err := w.credentials(ctx, namespace, s); err != nil {
		return err
	}
	s.Version, s.Archive, s.Image, s.Values, s.Storage = args.Version, args.Archive, args.Image, args.Values, args.Storage
	chart, err := w.catalogue.of(s)
	if err != nil {
		return err
	}
	if err := w.step(ctx, "upgrading to %s %s and waiting until it is ready", chart.Name(), chart.Version()); err != nil {
		return err
	}
	r := helm.Release{Namespace: namespace, Name: s.Name, Chart: chart, Values: values(s)}
	put := w.cfg.Helm.Upgrade
	if recovered == helm.RecoveredAbsent || recovered == helm.RecoveredRemoved {
		put = w.cfg.Helm.Install // one whose install had failed
	}
	if err := put(ctx, r); err != nil {
		return w.withReason(ctx, namespace, s.Name, err)
	}
	if err := w.cfg.Store.PutService(ctx, s); err != nil {
		return err
	}
	return w.step(ctx, "%s is ready", s.Name)
}
