package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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
	// workerSeconds is how long an instance that listens to nobody must have
	// run to count as ready: nothing else tells that it works.
	workerSeconds = 3

	portVariable = "PORT" // tells the app where to listen
)

// restricted is the Pod Security level under which a pod must say that it
// gives up root.
const restricted = "restricted"

// desired is all that the objects of an app are made from.
type desired struct {
	key         key
	namespace   string
	podLevel    string // Pod Security level of the workspace
	host        func(agent.Component) string
	domains     []store.Domain         // of the app
	maintenance *agent.Maintenance     // nil: the app answers itself
	release     store.AppRelease       // with the values of its environment
	scale       map[string]agent.Scale // by component
	restartedAt time.Time
	deadline    time.Duration
}

// part is what the objects of one component are made from.
type part struct {
	desired
	component agent.Component
}

func (d desired) parts() []part {
	parts := make([]part, len(d.release.Spec.Components))
	for i, c := range d.release.Spec.Components {
		parts[i] = part{d, c}
	}
	return parts
}

func (p part) object() string { return p.key.component(p.component.Name) }

func (p part) instances() agent.Scale { return p.scale[p.component.Name] }

// labels are for objects that all components share.
func (d desired) labels() map[string]string {
	return map[string]string{
		agent.LabelName:        d.key.app,
		agent.LabelInstance:    d.key.object(),
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

func (p part) labels() map[string]string { return p.named(p.desired.labels()) }

func (p part) releaseLabels() map[string]string { return p.named(p.desired.releaseLabels()) }

func (p part) named(labels map[string]string) map[string]string {
	labels[agent.LabelComponent] = p.component.Name
	return labels
}

// selector finds the component's pods, of whatever release. It never changes,
// as a Deployment's selector can't.
func (p part) selector() map[string]string {
	return map[string]string{agent.LabelApp: p.key.app, agent.LabelEnvironment: string(p.key.env), agent.LabelComponent: p.component.Name}
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

// service is how others in the workspace reach the component; nil for one that
// listens to nobody.
func (p part) service() *coreac.ServiceApplyConfiguration {
	if p.component.Port == 0 {
		return nil
	}
	return coreac.Service(p.object(), p.namespace).WithLabels(p.labels()).
		WithSpec(coreac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(p.selector()).
			WithPorts(coreac.ServicePort().WithName(portName).WithProtocol(corev1.ProtocolTCP).
				WithPort(servicePort).WithTargetPort(intstr.FromString(portName))))
}

// ingress routes to all components that are reached from outside; nil when
// none is.
func (d desired) ingress() *networkingac.IngressApplyConfiguration {
	routes := d.routes()
	if len(routes) == 0 {
		return nil
	}
	var hosts []string
	paths := map[string]*networkingac.HTTPIngressRuleValueApplyConfiguration{}
	for _, r := range routes {
		if paths[r.at.host] == nil {
			hosts, paths[r.at.host] = append(hosts, r.at.host), networkingac.HTTPIngressRuleValue()
		}
		paths[r.at.host].WithPaths(networkingac.HTTPIngressPath().WithPath(r.path).WithPathType(networkingv1.PathTypePrefix).
			WithBackend(networkingac.IngressBackend().
				WithService(networkingac.IngressServiceBackend().WithName(d.key.component(r.component)).
					WithPort(networkingac.ServiceBackendPort().WithName(portName)))))
	}
	spec := networkingac.IngressSpec().WithIngressClassName(agent.IngressClass)
	for _, host := range hosts {
		spec.WithRules(networkingac.IngressRule().WithHost(host).WithHTTP(paths[host]))
	}
	ingress := networkingac.Ingress(d.key.object(), d.namespace).WithLabels(d.labels()).WithSpec(spec)
	if d.maintenance != nil && d.maintenance.On {
		ingress.WithAnnotations(map[string]string{agent.AnnotationMaintenance: d.maintenance.Message})
	}
	return ingress
}

// budget keeps a drain from taking all instances at a time; nil for a
// component that never has more than one. While there is one only, it does not
// keep a drain from moving it.
func (p part) budget() *policyac.PodDisruptionBudgetApplyConfiguration {
	if p.instances().Max < 2 {
		return nil
	}
	return policyac.PodDisruptionBudget(p.object(), p.namespace).WithLabels(p.labels()).
		WithSpec(policyac.PodDisruptionBudgetSpec().WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metaac.LabelSelector().WithMatchLabels(p.selector())))
}

// deployment runs the component. hks owns the number of replicas unless that
// follows the load: then the field is the autoscaler's.
func (p part) deployment() *appsac.DeploymentApplyConfiguration {
	template := coreac.PodTemplateSpec().WithLabels(p.releaseLabels()).WithSpec(p.pod())
	if !p.restartedAt.IsZero() {
		template.WithAnnotations(map[string]string{annotationRestarted: restartMark(p.restartedAt)})
	}
	spec := appsac.DeploymentSpec().
		WithRevisionHistoryLimit(revisionsKept).
		WithProgressDeadlineSeconds(int32(p.deadline.Seconds())).
		WithSelector(metaac.LabelSelector().WithMatchLabels(p.selector())).
		WithStrategy(p.strategy()).
		WithTemplate(template)
	if scale := p.instances(); !scale.Auto() {
		spec.WithReplicas(int32(scale.Max)) //nolint:gosec // at most maxReplicas
	}
	if p.component.Port == 0 {
		spec.WithMinReadySeconds(workerSeconds)
	}
	return appsac.Deployment(p.object(), p.namespace).WithLabels(p.releaseLabels()).WithSpec(spec)
}

// strategy has new instances ready before old ones go; where they share a
// volume, the old one ends first, as two would write to it at a time.
func (p part) strategy() *appsac.DeploymentStrategyApplyConfiguration {
	if len(p.component.Volumes) > 0 {
		return appsac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)
	}
	return appsac.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsac.RollingUpdateDeployment().
			WithMaxSurge(intstr.FromInt32(1)).WithMaxUnavailable(intstr.FromInt32(0)))
}

func (p part) pod() *coreac.PodSpecApplyConfiguration {
	security := coreac.PodSecurityContext().
		WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if p.podLevel == restricted {
		security.WithRunAsNonRoot(true)
	}
	pod := p.placed(coreac.PodSpec()).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(graceSeconds).
		WithSecurityContext(security).
		WithContainers(p.serving())
	p.mounts(pod)
	return pod
}

// container is what every container of the component has, whatever it does.
func (p part) container() *coreac.ContainerApplyConfiguration {
	security := coreac.SecurityContext().WithAllowPrivilegeEscalation(false)
	if p.podLevel == restricted {
		security.WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
	}
	limits, requests := resources(p.component)
	c := coreac.Container().WithName(containerName).WithImage(p.release.Images[p.component.Name].Pull).
		WithResources(coreac.ResourceRequirements().WithLimits(limits).WithRequests(requests)).
		WithSecurityContext(security).
		WithEnv(p.env()...)
	for _, v := range p.component.Volumes {
		c.WithVolumeMounts(coreac.VolumeMount().WithName(v.Name).WithMountPath(v.Path))
	}
	return c
}

// serving is the container that serves, or works.
func (p part) serving() *coreac.ContainerApplyConfiguration {
	c := p.container()
	if len(p.component.Command) > 0 {
		c.WithCommand(p.component.Command...)
	}
	if p.component.Port == 0 {
		return c
	}
	return c.WithPorts(coreac.ContainerPort().WithName(portName).WithProtocol(corev1.ProtocolTCP).
		WithContainerPort(int32(p.component.Port))). //nolint:gosec // a valid TCP port
		// A start is looked at each second, so that a quick app serves quickly;
		// after that a look now and then is enough. An app that never starts is
		// left running for its log: the release's own deadline ends it.
		WithStartupProbe(probe(p.component).WithPeriodSeconds(1).WithTimeoutSeconds(2).WithFailureThreshold(3600)).
		WithReadinessProbe(probe(p.component).WithPeriodSeconds(5).WithTimeoutSeconds(3).WithFailureThreshold(2)).
		WithLifecycle(coreac.Lifecycle().WithPreStop(coreac.LifecycleHandler().
			WithSleep(coreac.SleepAction().WithSeconds(drainSeconds))))
}

// env is the environment of the component, by name: its own, over that the
// app's, from the release's Secret. What a component asks for as a secret goes
// to those only that ask for it.
func (p part) env() []*coreac.EnvVarApplyConfiguration {
	asked := map[string]bool{}
	for _, c := range p.release.Spec.Components {
		for _, name := range c.Secrets {
			asked[name] = true
		}
	}
	env := map[string]*coreac.EnvVarApplyConfiguration{}
	if p.component.Port != 0 {
		env[portVariable] = coreac.EnvVar().WithName(portVariable).WithValue(strconv.Itoa(p.component.Port))
	}
	for name, value := range p.component.Env {
		// Kubernetes expands $(NAME) in values given in the clear, and reads $$
		// as $.
		env[name] = coreac.EnvVar().WithName(name).WithValue(strings.ReplaceAll(value, "$", "$$"))
	}
	for name := range p.release.Spec.Env {
		if !asked[name] || slices.Contains(p.component.Secrets, name) {
			env[name] = coreac.EnvVar().WithName(name).WithValueFrom(coreac.EnvVarSource().
				WithSecretKeyRef(coreac.SecretKeySelector().WithName(p.secretName()).WithKey(name)))
		}
	}
	list := make([]*coreac.EnvVarApplyConfiguration, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, env[name])
	}
	return list
}

func probe(c agent.Component) *coreac.ProbeApplyConfiguration {
	p := coreac.Probe()
	if c.Health == "" {
		return p.WithTCPSocket(coreac.TCPSocketAction().WithPort(intstr.FromString(portName)))
	}
	return p.WithHTTPGet(coreac.HTTPGetAction().WithPath(c.Health).WithPort(intstr.FromString(portName)))
}

// resources are an instance's limits and what the scheduler keeps free for
// it: a tenth of the CPU and half of the memory, since small apps idle most
// of the time and memory can't be taken back.
func resources(c agent.Component) (limits, requests corev1.ResourceList) {
	cpu, memory := quantity(c.CPU, defaultCPU), quantity(c.Memory, defaultMemory)
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
