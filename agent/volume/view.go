package volume

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// List tells of all volumes, those that are only kept included.
func (m *Manager) List(ctx context.Context) ([]agent.Volume, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(ctx)
}

func (m *Manager) list(ctx context.Context) ([]agent.Volume, error) {
	rows, err := m.cfg.Ledger.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	removed, err := m.cfg.Removed(ctx)
	if err != nil {
		return nil, err
	}
	moves, err := m.cfg.Ledger.VolumeMoves(ctx)
	if err != nil {
		return nil, err
	}
	list, known := make([]agent.Volume, 0, len(rows)), map[string]bool{}
	for _, v := range rows {
		view := m.viewOf(v)
		if until, ok := removed[v.Claim]; ok && view.KeptUntil.IsZero() && view.Service != "" {
			view.Status, view.KeptUntil = agent.VolumeKept, until
		}
		for _, move := range moves {
			if move.Source == v.ID || move.Target == v.ID {
				view.Move = m.viewOfMove(move)
			}
		}
		list, known[v.ID] = append(list, view), true
	}
	if m.watch.ready() {
		claims, err := m.watch.all()
		if err != nil {
			return nil, err
		}
		for _, claim := range claims {
			if !known[claim.Spec.VolumeName] && !known["pvc-"+string(claim.UID)] {
				list = append(list, foreign(claim))
			}
		}
	}
	slices.SortStableFunc(list, func(a, b agent.Volume) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.CreatedAt.Compare(b.CreatedAt))
	})
	return list, nil
}

// lookWithin bounds the look at a disk for a view of it.
const lookWithin = 5 * time.Second

// viewOf shows a row with what its claim and its disk say.
func (m *Manager) viewOf(v store.Volume) agent.Volume {
	view := agent.Volume{
		Name: v.Claim, ID: v.ID, Class: agent.StorageClass, SizeBytes: v.Size, Status: v.Status, Message: v.Message,
		KeptUntil: v.KeptUntil, CreatedAt: v.CreatedAt, Node: m.nodeOf(v.Node),
	}
	if v.Asked > v.Size {
		view.AskedSize = v.Asked
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	if disks, err := m.disksOf(ctx, v.Node); err == nil {
		if used, size, ok := disks.Fill(v.ID); ok {
			view.UsedBytes, view.FreeBytes = used, size-used
			if left, ok := m.cfg.FullIn(v.Claim); ok {
				view.FullIn = max(int64(left.Seconds()), 1)
			}
		}
	}
	owned(&view, v.Labels)
	if v.Status == agent.VolumeReady && m.watch.ready() {
		if claim := m.watch.claim(v.Claim); claim != nil && claim.Spec.VolumeName == v.ID {
			if until := keptUntil(claim); !until.IsZero() {
				view.Status, view.KeptUntil = agent.VolumeKept, until
			}
		}
	}
	return view
}

// foreign shows a claim that somebody else's provisioner serves, or that
// waits for its first pod.
func foreign(claim *corev1.PersistentVolumeClaim) agent.Volume {
	view := agent.Volume{
		Name: claim.Name, ID: claim.Spec.VolumeName, Class: classOf(claim), SizeBytes: requested(claim),
		Status: agent.VolumeReady, KeptUntil: keptUntil(claim), CreatedAt: claim.CreationTimestamp.Time,
	}
	switch {
	case claim.Spec.VolumeName == "":
		view.Status, view.Message = agent.VolumeMaking, "it is made when its first instance starts"
	case !view.KeptUntil.IsZero():
		view.Status = agent.VolumeKept
	}
	owned(&view, claim.Labels)
	return view
}

// owned says whose a volume is, by the labels of its claim.
func owned(view *agent.Volume, labels map[string]string) {
	view.App, view.Env = labels[agent.LabelApp], agent.Environment(labels[agent.LabelEnvironment])
	if view.App != "" {
		view.Component = labels[agent.LabelComponent]
		return
	}
	if instance := labels[agent.LabelInstance]; instance != "" && strings.HasPrefix(view.Name, instance+"-") {
		view.Service = instance
	}
}

func keptUntil(claim *corev1.PersistentVolumeClaim) time.Time {
	until, err := time.Parse(time.RFC3339, claim.Annotations[agent.AnnotationKeptUntil])
	if err != nil {
		return time.Time{} // there is none, or it is nobody's we know
	}
	return until
}

// Get tells of one volume by its name or id.
func (m *Manager) Get(ctx context.Context, name string) (agent.Volume, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(ctx, name)
}

// find takes an id, or the name of a claim: of several volumes of one name the
// one that is in use, since the others are only kept.
func (m *Manager) find(ctx context.Context, name string) (agent.Volume, error) {
	list, err := m.list(ctx)
	if err != nil {
		return agent.Volume{}, err
	}
	var named []agent.Volume
	for _, v := range list {
		if v.ID == name && name != "" {
			return v, nil
		}
		if v.Name == name {
			named = append(named, v)
		}
	}
	if len(named) > 1 {
		live := slices.DeleteFunc(slices.Clone(named), func(v agent.Volume) bool { return m.watch.ready() && !m.claimed(v) })
		if len(live) != 1 {
			var ids []string
			for _, v := range named {
				ids = append(ids, v.ID)
			}
			return agent.Volume{}, agent.Errorf(agent.CodeInvalid, "name one by its id: "+strings.Join(ids, ", "), "several volumes were called %s", name)
		}
		named = live
	}
	if len(named) == 0 {
		return agent.Volume{}, agent.Errorf(agent.CodeNotFound, "hks volume list shows what there is", "there is no volume %q", name)
	}
	return named[0], nil
}

// claimed tells whether a claim has the volume.
func (m *Manager) claimed(v agent.Volume) bool {
	claim := m.watch.claim(v.Name)
	return claim != nil && (claim.Spec.VolumeName == v.ID || v.ID == "pvc-"+string(claim.UID))
}

func sizeText(bytes int64) string {
	if bytes >= 1<<30 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/(1<<30)), ".0") + " GiB"
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
