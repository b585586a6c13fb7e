package app

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyac "k8s.io/client-go/applyconfigurations/policy/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const (
	containerName = "app"
	portName      = "http" // of the container and of the Service: releases with different ports serve side by side
	servicePort   = 80

	// annotationRestarted on the pod template makes new pods of the same release.
	annotationRestarted = "hks.dev/restarted-at"
	// annotationRetried on a Deployment makes Kubernetes try a refused pod again.
	annotationRetried = "hks.dev/retried-at"

	revisionsKept = 3
	// drainSeconds is how long a stopping instance goes on serving before it
	// is told to end: time for the gateway to see that it is going.
	drainSeconds = 5
	graceSeconds = 30 // drain included
)

// restricted is the Pod Security level under which a pod must say that it
// gives up root.
const restricted = "restricted"

// desired is all that the objects of an app are made from.
type desired struct {
	key         key
	namespace   string
	podLevel    string // Pod Security level of the workspace
	host        string
	release     store.AppRelease // with the values of its environment
	replicas    int
	restartedAt time.Time
	deadline    time.Duration
}

func (d desired) labels() map[string]string {
	return map[string]string{
		agent.LabelName:        d.key.app,
		agent.LabelInstance:    d.key.object(),
		agent.LabelComponent:   "app",
		agent.LabelPartOf:      d.namespace,
		agent.LabelManagedBy:   agent.ManagedBy,
		agent.LabelApp:         d.key.app,
		agent.LabelEnvironment: string(d.key.env),
	}
}

// releaseLabels are for objects that change with each release.
func (d desired) releaseLabels() map[string]string {
	labels := d.labels()
	labels[agent.LabelRelease] = strconv.Itoa(d.release.Number)
	return labels
}

// selector finds the app's pods, of whatever release. It never changes, as a
// Deployment's selector can't.
func (d desired) selector() map[string]string {
	return map[string]string{agent.LabelApp: d.key.app, agent.LabelEnvironment: string(d.key.env)}
}

func (d desired) secretName() string {
	return agent.ReleaseName(d.key.app, d.key.env, d.release.Number)
}

// secret holds the environment of the release; nil when that is empty.
func (d desired) secret() *coreac.SecretApplyConfiguration {
	if len(d.release.Spec.Env) == 0 {
		return nil
	}
	data := make(map[string][]byte, len(d.release.Spec.Env))
	for name, value := range d.release.Spec.Env {
		data[name] = []byte(value)
	}
	return coreac.Secret(d.secretName(), d.namespace).WithLabels(d.releaseLabels()).
		WithType(corev1.SecretTypeOpaque).WithImmutable(true).WithData(data)
}

func (d desired) service() *coreac.ServiceApplyConfiguration {
	return coreac.Service(d.key.object(), d.namespace).WithLabels(d.labels()).
		WithSpec(coreac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(d.selector()).
			WithPorts(coreac.ServicePort().WithName(portName).WithProtocol(corev1.ProtocolTCP).
				WithPort(servicePort).WithTargetPort(intstr.FromString(portName))))
}

func (d desired) ingress() *networkingac.IngressApplyConfiguration {
	path := d.release.Spec.Path
	if path == "" {
		path = "/"
	}
	return networkingac.Ingress(d.key.object(), d.namespace).WithLabels(d.labels()).
		WithSpec(networkingac.IngressSpec().WithIngressClassName(agent.IngressClass).
			WithRules(networkingac.IngressRule().WithHost(d.host).
				WithHTTP(networkingac.HTTPIngressRuleValue().
					WithPaths(networkingac.HTTPIngressPath().WithPath(path).WithPathType(networkingv1.PathTypePrefix).
						WithBackend(networkingac.IngressBackend().
							WithService(networkingac.IngressServiceBackend().WithName(d.key.object()).
								WithPort(networkingac.ServiceBackendPort().WithName(portName))))))))
}

// budget keeps a drain from taking all instances at a time; nil for an app
// with one, which a drain must be able to move.
func (d desired) budget() *policyac.PodDisruptionBudgetApplyConfiguration {
	if d.replicas < 2 {
		return nil
	}
	return policyac.PodDisruptionBudget(d.key.object(), d.namespace).WithLabels(d.labels()).
		WithSpec(policyac.PodDisruptionBudgetSpec().WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metaac.LabelSelector().WithMatchLabels(d.selector())))
}

// deployment runs the release. hks owns the number of replicas; an autoscaler
// to come takes that one field over.
func (d desired) deployment() *appsac.DeploymentApplyConfiguration {
	template := coreac.PodTemplateSpec().WithLabels(d.releaseLabels()).WithSpec(d.pod())
	if !d.restartedAt.IsZero() {
		template.WithAnnotations(map[string]string{annotationRestarted: restartMark(d.restartedAt)})
	}
	return appsac.Deployment(d.key.object(), d.namespace).WithLabels(d.releaseLabels()).
		WithSpec(appsac.DeploymentSpec().
			WithReplicas(int32(d.replicas)). //nolint:gosec // at most maxReplicas
			WithRevisionHistoryLimit(revisionsKept).
			WithProgressDeadlineSeconds(int32(d.deadline.Seconds())).
			WithSelector(metaac.LabelSelector().WithMatchLabels(d.selector())).
			WithStrategy(appsac.DeploymentStrategy().WithType("RollingUpdate").
				WithRollingUpdate(appsac.RollingUpdateDeployment().
					WithMaxSurge(intstr.FromInt32(1)).WithMaxUnavailable(intstr.FromInt32(0)))).
			WithTemplate(template))
}

func (d desired) pod() *coreac.PodSpecApplyConfiguration {
	security := coreac.PodSecurityContext().
		WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if d.podLevel == restricted {
		security.WithRunAsNonRoot(true)
	}
	return coreac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(graceSeconds).
		WithSecurityContext(security).
		WithContainers(d.container())
}

func (d desired) container() *coreac.ContainerApplyConfiguration {
	spec := d.release.Spec
	security := coreac.SecurityContext().WithAllowPrivilegeEscalation(false)
	if d.podLevel == restricted {
		security.WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
	}
	limits, requests := resources(spec)
	c := coreac.Container().WithName(containerName).WithImage(d.release.Pull).
		WithPorts(coreac.ContainerPort().WithName(portName).WithProtocol(corev1.ProtocolTCP).
			WithContainerPort(int32(spec.Port))). //nolint:gosec // a valid TCP port
		WithResources(coreac.ResourceRequirements().WithLimits(limits).WithRequests(requests)).
		WithSecurityContext(security).
		// A start is looked at each second, so that a quick app serves quickly;
		// after that a look now and then is enough. An app that never starts is
		// left running for its log: the release's own deadline ends it.
		WithStartupProbe(probe(spec).WithPeriodSeconds(1).WithTimeoutSeconds(2).WithFailureThreshold(3600)).
		WithReadinessProbe(probe(spec).WithPeriodSeconds(5).WithTimeoutSeconds(3).WithFailureThreshold(2)).
		WithLifecycle(coreac.Lifecycle().WithPreStop(coreac.LifecycleHandler().
			WithSleep(coreac.SleepAction().WithSeconds(drainSeconds))))
	if _, ok := spec.Env["PORT"]; !ok {
		c.WithEnv(coreac.EnvVar().WithName("PORT").WithValue(strconv.Itoa(spec.Port)))
	}
	if len(spec.Env) > 0 {
		c.WithEnvFrom(coreac.EnvFromSource().WithSecretRef(coreac.SecretEnvSource().WithName(d.secretName())))
	}
	if len(spec.Command) > 0 {
		c.WithCommand(spec.Command...)
	}
	return c
}

func probe(spec agent.Spec) *coreac.ProbeApplyConfiguration {
	p := coreac.Probe()
	if spec.Health == "" {
		return p.WithTCPSocket(coreac.TCPSocketAction().WithPort(intstr.FromString(portName)))
	}
	return p.WithHTTPGet(coreac.HTTPGetAction().WithPath(spec.Health).WithPort(intstr.FromString(portName)))
}

// resources are an instance's limits and what the scheduler keeps free for
// it: a tenth of the CPU and half of the memory, since small apps idle most
// of the time and memory can't be taken back.
func resources(spec agent.Spec) (limits, requests corev1.ResourceList) {
	cpu, memory := quantity(spec.CPU, defaultCPU), quantity(spec.Memory, defaultMemory)
	leastCPU := min(int64(25), cpu.MilliValue())
	return corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory},
		corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(max(cpu.MilliValue()/10, leastCPU), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(memory.Value()/2, resource.BinarySI),
		}
}

// quantity reads a checked amount.
func quantity(value, otherwise string) resource.Quantity {
	if q, err := resource.ParseQuantity(value); err == nil {
		return q
	}
	return resource.MustParse(otherwise)
}

// restartMark is how a restart shows on the pod template.
func restartMark(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
