package market

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	batchac "k8s.io/client-go/applyconfigurations/batch/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// labelScratch marks the pods of scratch instances, which no Service selects.
const labelScratch = "hks.dev/scratch"

// scratchLimit is how long a scratch instance lives at most.
const scratchLimit = 20 * time.Minute

// Verify accepts a trial of a backup; id 0 means the newest.
func (m *Manager) Verify(ctx context.Context, name string, id int64, by string) (agent.ServiceJob, error) {
	if id == 0 {
		backups, err := m.Backups(ctx, name)
		if err != nil {
			return agent.ServiceJob{}, err
		}
		if len(backups) == 0 {
			return agent.ServiceJob{}, agent.Errorf(agent.CodeConflict, "make one: hks backup create "+name, "%s has no backup", name)
		}
		id = backups[0].ID
	}
	if _, _, err := m.restorable(ctx, name, id); err != nil {
		return agent.ServiceJob{}, err
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindVerify, By: by, Backup: id}, struct{}{}, "")
}

// verify restores a backup into an instance of its own, with an empty volume
// and no way for clients to reach it, which compares each table's rows and
// checksum with what was saved.
func (w *worker) verify(ctx context.Context, s store.Service) error {
	_, b, err := w.restorable(ctx, s.Name, w.job.Backup)
	if err != nil {
		return err
	}
	verdict := agent.Verification{Backup: b.ID, Good: true, Message: fmt.Sprintf("%s with %s restored, all as they were saved", countOf(len(b.Tables), "table"), countOf(int(rowsOf(b)), "row"))}
	err = w.try(ctx, s, b)
	switch code := agent.CodeOf(err); {
	case err != nil && (ctx.Err() != nil || code == agent.CodeClusterAway || code == agent.CodeWorkspaceMissing || code == agent.CodeInternal):
		return err // says nothing about the backup
	case err != nil:
		verdict.Good, verdict.Message = false, err.Error()
	}
	verdict.At = w.cfg.Now()
	if kept := w.cfg.Store.VerifyBackup(ctx, verdict); kept != nil {
		return errors.Join(err, kept)
	}
	if err != nil {
		return err
	}
	return w.step(ctx, "%s", verdict.Message)
}

func (w *worker) try(ctx context.Context, s store.Service, b agent.Backup) error {
	if err := w.checkArchive(ctx, b); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	name := s.Name + "-verify-" + strconv.FormatInt(b.ID, 10)
	jobs := w.cfg.Cluster.Interface().BatchV1().Jobs(namespace)
	remove := func() error {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), kube.RequestTimeout)
		defer cancel()
		return kube.Delete(clean, jobs, "removing the scratch instance", name)
	}
	if err := remove(); err != nil { // left by a trial that was cut off
		return err
	}
	if err := w.gone(ctx, namespace, labels.Set{labelScratch: name}); err != nil {
		return err
	}
	config, err := w.scratch(ctx, namespace, name, s)
	if err != nil {
		return err
	}
	if err := w.step(ctx, "starting a scratch instance for backup %d", b.ID); err != nil {
		return err
	}
	if _, err := kube.Apply(ctx, jobs, "starting a scratch instance", config); err != nil {
		return err
	}
	pod, err := w.awaitReady(ctx, namespace, labels.Set{labelScratch: name}, restartLimit)
	if err == nil {
		err = w.step(ctx, "restoring it there and comparing")
	}
	if err == nil {
		_, err = w.putInto(ctx, pod, s.Engine, b)
	}
	return errors.Join(err, remove())
}

// gone waits until no pod of a selector is there.
func (m *Manager) gone(ctx context.Context, namespace string, selector labels.Set) error {
	pause := time.NewTicker(podWait)
	defer pause.Stop()
	for {
		pods, err := m.pods(ctx, namespace, selector)
		if err != nil || len(pods) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// scratch is a Job with the pod of the service as it runs, with an empty
// volume instead of the service's.
func (m *Manager) scratch(ctx context.Context, namespace, name string, s store.Service) (*batchac.JobApplyConfiguration, error) {
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	set, err := m.cfg.Cluster.Interface().AppsV1().StatefulSets(namespace).Get(asking, s.Name, metav1.GetOptions{})
	if err != nil {
		return nil, kube.Explain("looking how the service runs", err)
	}
	spec := set.Spec.Template.Spec
	spec.RestartPolicy = corev1.RestartPolicyOnFailure
	for i := range spec.Volumes {
		if spec.Volumes[i].PersistentVolumeClaim != nil {
			spec.Volumes[i].VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		}
	}
	template := new(coreac.PodSpecApplyConfiguration)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(content, template)
	}
	if err != nil {
		return nil, fmt.Errorf("making a scratch instance: %w", err)
	}
	mark := map[string]string{agent.LabelManagedBy: agent.ManagedBy, labelScratch: name}
	return batchac.Job(name, namespace).WithLabels(mark).WithSpec(batchac.JobSpec().WithBackoffLimit(3).
		WithActiveDeadlineSeconds(int64(scratchLimit.Seconds())).WithTTLSecondsAfterFinished(60).WithCompletionMode(batchv1.NonIndexedCompletion).
		WithTemplate(coreac.PodTemplateSpec().WithLabels(mark).WithSpec(template))), nil
}
