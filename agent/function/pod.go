package function

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

const (
	annotationRevision = "hks.dev/function-revision"
	annotationVersion  = "hks.dev/function-version"
	keyVariable        = "HKS_POD_KEY"
	labelMemory        = "hks.dev/function-memory"
	appUser            = 10001
)

// class is a kind of pod: what can't be changed once it runs.
type class struct {
	runtime string
	memory  int // MiB
}

// pod is one pod of the pool, free or with a function.
type pod struct {
	name, ip, key string
	class         class
	ready         bool
	taken         bool      // by a claim, for ever
	function      string    // empty: none yet
	version       int       // of the function
	revision      int       // of the function when the pod got it
	retired       time.Time // since when it gets no new calls
	made          time.Time
}

func (p *pod) address() string { return p.ip + ":8081" }

// newPod is a pod of the pool. Nothing in it is anybody's, and it can reach what
// functions may reach from its first moment: the network policy goes by a label.
func newPod(c class, image string) *corev1.Pod {
	no, yes, user, grace := false, true, int64(appUser), int64(10)
	tmpfs := func(size string) corev1.VolumeSource {
		limit := resource.MustParse(size)
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &limit}}
	}
	memory := resource.MustParse(strconv.Itoa(c.memory) + "Mi")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "fn-" + c.runtime + "-" + strings.ToLower(rand.Text()[:10]),
			Labels: map[string]string{
				agent.LabelManagedBy: agent.ManagedBy, agent.LabelRuntime: c.runtime, labelMemory: strconv.Itoa(c.memory),
			},
		},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no, EnableServiceLinks: &no, TerminationGracePeriodSeconds: &grace,
			RestartPolicy: corev1.RestartPolicyNever, // a function that ended its runtime does not come back as another
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{{Name: "function", VolumeSource: tmpfs("200Mi")}, {Name: "tmp", VolumeSource: tmpfs("64Mi")}},
			Containers: []corev1.Container{{
				Name: "function", Image: image,
				Env:          []corev1.EnvVar{{Name: keyVariable, Value: rand.Text() + rand.Text()}},
				VolumeMounts: []corev1.VolumeMount{{Name: "function", MountPath: "/function"}, {Name: "tmp", MountPath: "/tmp"}},
				StartupProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}},
					PeriodSeconds: 1, FailureThreshold: 60,
				},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
					Limits: corev1.ResourceList{
						corev1.ResourceCPU:    resource.MustParse("500m"), // counts against the workspace's quota for each pod
						corev1.ResourceMemory: memory, corev1.ResourceEphemeralStorage: resource.MustParse("64Mi"),
					},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, RunAsNonRoot: &yes,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// podOf reads a pod of the cluster's.
func podOf(p *corev1.Pod) (*pod, bool) {
	memory, err := strconv.Atoi(p.Labels[labelMemory])
	if err != nil || len(p.Spec.Containers) == 0 {
		return nil, false
	}
	found := &pod{
		name: p.Name, ip: p.Status.PodIP, class: class{p.Labels[agent.LabelRuntime], memory}, function: p.Labels[agent.LabelFunction],
		made: p.CreationTimestamp.Time,
	}
	found.taken = found.function != ""
	found.revision, _ = strconv.Atoi(p.Annotations[annotationRevision]) // 0 is no function's revision
	found.version, _ = strconv.Atoi(p.Annotations[annotationVersion])
	for _, v := range p.Spec.Containers[0].Env {
		if v.Name == keyVariable {
			found.key = v.Value
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			found.ready = true
		}
	}
	return found, true
}

func ended(p *corev1.Pod) bool {
	return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// create makes a pod of the class.
func (m *Manager) create(ctx context.Context, namespace string, c class) error {
	image, digest, err := m.cfg.Images.Resolve(ctx, runtimes[c.runtime])
	if err != nil {
		return fmt.Errorf("finding the image of %s functions: %w", c.runtime, err)
	}
	if digest == "" {
		return agent.Errorf(agent.CodeImagePull, "load it with: hks image load", "the appliance lacks the image of %s functions, %s", c.runtime, runtimes[c.runtime])
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	made, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).Create(ctx, newPod(c, image), metav1.CreateOptions{FieldManager: agent.FieldManager})
	if err != nil {
		return kube.Explain("making an instance for functions", err)
	}
	if p, ok := podOf(made); ok {
		m.mu.Lock()
		p.made = m.cfg.Now()
		m.pool[p.name] = p
		m.mu.Unlock()
	}
	return nil
}

// mark writes on a pod what it is now, for a later agent.
func (m *Manager) mark(ctx context.Context, p pod) error {
	namespace, err := m.namespace(ctx)
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q},"annotations":{%q:"%d",%q:"%d"}}}`,
		agent.LabelFunction, p.function, annotationRevision, p.revision, annotationVersion, p.version)
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err = m.cfg.Cluster.Interface().CoreV1().Pods(namespace).Patch(ctx, p.name, "application/merge-patch+json", patch, metav1.PatchOptions{FieldManager: agent.FieldManager})
	return kube.Explain("marking an instance", err)
}

// remove deletes a pod and forgets it.
func (m *Manager) remove(ctx context.Context, name string) {
	namespace, err := m.namespace(ctx)
	if err == nil {
		err = kube.Delete(ctx, m.cfg.Cluster.Interface().CoreV1().Pods(namespace), "removing an instance of a function", name)
	}
	if err != nil {
		m.cfg.Log.Warn("an instance can't be removed yet", "pod", name, "err", err)
		return
	}
	m.mu.Lock()
	delete(m.pool, name)
	m.mu.Unlock()
}

// namespace is where functions live.
func (m *Manager) namespace(ctx context.Context) (string, error) {
	workspace, err := m.cfg.Workspace.Current(ctx)
	if err != nil {
		return "", err
	}
	if workspace.Status != agent.WorkspaceReady {
		return "", agent.Errorf(agent.CodeWorkspaceMissing, "see it with: hks workspace show", "the workspace is %s", workspace.Status)
	}
	return workspace.Name, nil
}
