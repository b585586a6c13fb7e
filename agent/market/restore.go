package market

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// restartLimit is how long an instance may take to be ready again after a restore.
const restartLimit = 3 * time.Minute

// Restore accepts a restore of a backup into the running service. The archive
// is checked before anything is touched, here and again on its way.
func (m *Manager) Restore(ctx context.Context, name string, id int64, by string) (agent.ServiceJob, error) {
	s, b, err := m.restorable(ctx, name, id)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	if err := m.checkArchive(ctx, b); err != nil {
		return agent.ServiceJob{}, err
	}
	return m.submit(ctx, agent.ServiceJob{Service: s.Name, Kind: kindRestore, By: by, Backup: id}, struct{}{}, agent.ServiceUpdating)
}

// restorable finds a backup that a service can read.
func (m *Manager) restorable(ctx context.Context, name string, id int64) (store.Service, agent.Backup, error) {
	s, err := m.withEngine(ctx, name)
	if err != nil {
		return store.Service{}, agent.Backup{}, err
	}
	b, ok, err := m.cfg.Store.Backup(ctx, id)
	if err != nil {
		return store.Service{}, agent.Backup{}, err
	}
	if !ok {
		return store.Service{}, agent.Backup{}, agent.Errorf(agent.CodeNotFound, "hks backup list "+name+" shows what there is", "there is no backup %d", id)
	}
	if b.Engine != s.Engine { // one of another service of the same engine will do
		return store.Service{}, agent.Backup{}, agent.Errorf(agent.CodeInvalid, "choose a backup of a "+s.Engine+" service", "backup %d is of %s, and %s is %s", id, b.Engine, name, s.Engine)
	}
	return s, b, nil
}

// checkArchive reads the whole file; one that is not on this machine any more
// is fetched from where its copy is.
func (m *Manager) checkArchive(ctx context.Context, b agent.Backup) error {
	damaged := func(why string) error {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("the archive of backup %d is damaged: %s; nothing was touched", b.ID, why),
			Fix:     "choose another backup: hks backup list " + b.Service,
			Details: map[string]any{"backup": b.ID},
		}
	}
	file, err := os.Open(m.archive(b))
	if errors.Is(err, os.ErrNotExist) {
		if fetched := m.fetch(ctx, b); fetched != nil {
			return damaged("its file is missing (" + fetched.Error() + ")")
		}
		file, err = os.Open(m.archive(b))
	}
	if err != nil {
		return fmt.Errorf("opening an archive: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	hash := sha256.New()
	n, err := io.Copy(hash, file)
	switch {
	case err != nil:
		return damaged(err.Error())
	case n != b.Bytes:
		return damaged(fmt.Sprintf("it has %d bytes, not %d", n, b.Bytes))
	case hex.EncodeToString(hash.Sum(nil)) != b.SHA256:
		return damaged("its checksum is not that of what was saved")
	}
	return nil
}

// fetch brings the copy of a backup back.
func (m *Manager) fetch(ctx context.Context, b agent.Backup) error {
	target, ok, err := m.cfg.Store.BackupTarget(ctx)
	if err != nil {
		return err
	}
	if !ok || b.Remote == "" {
		return errors.New("and there is no copy elsewhere")
	}
	from, err := m.cfg.Remote.Get(ctx, target, key(target, b))
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	file, err := os.CreateTemp(m.cfg.Backups, incomingPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = ignoreAbsent(os.Remove(file.Name())) }() // moved away when all went well
	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Sync(), file.Close(), os.MkdirAll(m.backupFolder(b.Service), 0o700)); err != nil {
		return err
	}
	return errors.Join(os.Rename(file.Name(), m.archive(b)), syncFolder(m.backupFolder(b.Service)))
}

// restore fills a new database in the running instance, compares it with what
// was saved, and has it take the place of the old one in one step; until then
// apps go on as before. What was there stays in the instance until the next
// restore.
func (w *worker) restore(ctx context.Context, s store.Service) error {
	_, b, err := w.restorable(ctx, s.Name, w.job.Backup)
	if err != nil {
		return err
	}
	if err := w.checkArchive(ctx, b); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	pod, err := w.awaitReady(ctx, namespace, selectorOf(s.Name), time.Minute)
	if err != nil {
		return err
	}
	if err := w.step(ctx, "restoring backup %d of %s beside the data of now", b.ID, b.CreatedAt.Format(time.DateTime)); err != nil {
		return err
	}
	restarts, err := w.putInto(ctx, pod, s.Engine, b)
	if err != nil {
		return err
	}
	if err := w.step(ctx, "%s as they were saved; waiting until the service is ready", countOf(len(b.Tables), "table")); err != nil {
		return err
	}
	if restarts {
		return w.awaitRestart(ctx, namespace, pod)
	}
	_, err = w.awaitReady(ctx, namespace, selectorOf(s.Name), restartLimit)
	return err
}

// awaitRestart waits until a pod's server was started anew and is ready.
func (m *Manager) awaitRestart(ctx context.Context, namespace string, before corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, restartLimit)
	defer cancel()
	pause := time.NewTicker(podWait)
	defer pause.Stop()
	for {
		pod, ok, err := m.ready(ctx, namespace, selectorOf(before.Labels[agent.LabelInstance]))
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok && (pod.UID != before.UID || restarts(pod) > restarts(before)) {
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return agent.Errorf(agent.CodeConflict, "see its words: hks market show "+before.Labels[agent.LabelInstance], "the instance was not ready again within %s after the restore", restartLimit)
		}
	}
}

func restarts(pod corev1.Pod) (n int32) {
	for _, c := range pod.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}

// putInto sends an archive into an instance, which compares what becomes of it
// with what was saved. Its answer is the success: an engine that restarts for
// it cuts the connection right after.
func (m *Manager) putInto(ctx context.Context, pod corev1.Pod, engine string, b agent.Backup) (restarts bool, err error) {
	head, err := json.Marshal(contents{SHA256: b.SHA256, Bytes: b.Bytes, Tables: b.Tables})
	if err != nil {
		return false, fmt.Errorf("writing what an archive is to be: %w", err)
	}
	file, err := os.Open(m.archive(b))
	if err != nil {
		return false, fmt.Errorf("opening an archive: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	var answer tail
	_, failed := m.inside(ctx, pod, engine, io.MultiReader(bytes.NewReader(append(head, '\n')), file), &answer, "restore")
	var got contents
	if json.Unmarshal(bytes.TrimSpace(answer.Bytes()), &got) == nil && got.SHA256 == b.SHA256 {
		return got.Restarts, nil
	}
	if failed == nil {
		failed = errors.New("the instance did not say what became of the archive")
	}
	return false, failed
}
