package app

import (
	"bytes"
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// How an autoscaler moves: up at once, at most twice as many or two more each
// quarter of a minute; down by one a minute, to what was the most needed in
// the last five minutes.
const (
	upPeriod   = 15  // seconds
	upPods     = 2   // a period
	upPercent  = 100 // a period
	downPeriod = 60  // seconds
	downPods   = 1   // a period
	downWindow = 300 // seconds
)

// scaleManager names whoever gives a Deployment its number of instances until
// its autoscaler does. Would hks merely cease to name the field, Kubernetes
// would make it 1.
const scaleManager = agent.FieldManager + "-scale"

// autoscaler lets the number of instances follow the load; nil where it is
// fixed.
func (p part) autoscaler() *autoscalingac.HorizontalPodAutoscalerApplyConfiguration {
	scale := p.instances()
	if !scale.Auto() {
		return nil
	}
	//nolint:gosec // all were checked against small bounds
	return autoscalingac.HorizontalPodAutoscaler(p.object(), p.namespace).WithLabels(p.labels()).
		WithSpec(autoscalingac.HorizontalPodAutoscalerSpec().
			WithScaleTargetRef(autoscalingac.CrossVersionObjectReference().WithAPIVersion("apps/v1").WithKind("Deployment").WithName(p.object())).
			WithMinReplicas(int32(scale.Min)).WithMaxReplicas(int32(scale.Max)).
			WithMetrics(autoscalingac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).
				WithResource(autoscalingac.ResourceMetricSource().WithName(corev1.ResourceCPU).
					WithTarget(autoscalingac.MetricTarget().WithType(autoscalingv2.AverageValueMetricType).WithAverageValue(aim(p.component, scale))))).
			WithBehavior(autoscalingac.HorizontalPodAutoscalerBehavior().
				WithScaleUp(autoscalingac.HPAScalingRules().WithStabilizationWindowSeconds(0).WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
					WithPolicies(
						autoscalingac.HPAScalingPolicy().WithType(autoscalingv2.PercentScalingPolicy).WithValue(upPercent).WithPeriodSeconds(upPeriod),
						autoscalingac.HPAScalingPolicy().WithType(autoscalingv2.PodsScalingPolicy).WithValue(upPods).WithPeriodSeconds(upPeriod))).
				WithScaleDown(autoscalingac.HPAScalingRules().WithStabilizationWindowSeconds(downWindow).
					WithPolicies(autoscalingac.HPAScalingPolicy().WithType(autoscalingv2.PodsScalingPolicy).WithValue(downPods).WithPeriodSeconds(downPeriod)))))
}

// aim is what an instance of a component is to take on average: the scale's
// percentage of its limit. Kubernetes' own percentages are of what is
// reserved, a tenth of it here, which would add instances to idle apps.
func aim(c agent.Component, scale agent.Scale) resource.Quantity {
	limit := quantity(c.CPU, defaultCPU)
	return *resource.NewMilliQuantity(limit.MilliValue()*int64(scale.CPU)/100, resource.DecimalSI)
}

// applyScaled makes the Deployment of a component and what scales it. An
// autoscaler goes before hks names the number again, and comes when hks no
// longer does.
func (w *worker) applyScaled(ctx context.Context, p part, doing string) error {
	set := w.m.cfg.Cluster.Interface()
	deployments, autoscalers := set.AppsV1().Deployments(p.namespace), set.AutoscalingV2().HorizontalPodAutoscalers(p.namespace)
	scaler := p.autoscaler()
	if scaler == nil {
		if err := kube.Delete(ctx, autoscalers, doing, p.object()); err != nil {
			return err
		}
		_, err := kube.Apply(ctx, deployments, doing, p.deployment())
		return err
	}
	there, err := w.handOver(ctx, p, doing)
	if err != nil {
		return err
	}
	if _, err := kube.Apply(ctx, deployments, doing, p.deployment()); err != nil {
		return err
	}
	if least := p.instances().Min; !there && least > 1 { // else it is as Kubernetes makes it
		if err := w.lend(ctx, p, least, doing); err != nil {
			return err
		}
	}
	_, err = kube.Apply(ctx, autoscalers, doing, scaler)
	return err
}

// handOver gives the number of instances of a Deployment into other hands
// before hks ceases to name it, and brings it within the bounds: an autoscaler
// leaves one without instances alone. There is false when it is yet to be made.
func (w *worker) handOver(ctx context.Context, p part, doing string) (there bool, err error) {
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	d, err := w.m.cfg.Cluster.Interface().AppsV1().Deployments(p.namespace).Get(asking, p.object(), metav1.GetOptions{})
	if err != nil {
		return false, kube.IgnoreNotFound(kube.Explain(doing, err))
	}
	now := replicasOf(d)
	if to := p.instances().Within(now); to != now || ownsReplicas(d.ManagedFields) {
		return true, w.lend(ctx, p, to, doing)
	}
	return true, nil
}

// lend sets the number of instances as the other manager.
func (w *worker) lend(ctx context.Context, p part, replicas int, doing string) error {
	only := appsac.Deployment(p.object(), p.namespace).
		WithSpec(appsac.DeploymentSpec().WithReplicas(int32(replicas))) //nolint:gosec // at most maxReplicas
	_, err := kube.ApplyAs(ctx, w.m.cfg.Cluster.Interface().AppsV1().Deployments(p.namespace), scaleManager, doing, only)
	return err
}

// ownsReplicas tells whether hks is who names the number of instances.
func ownsReplicas(fields []metav1.ManagedFieldsEntry) bool {
	for _, f := range fields {
		if f.Manager == agent.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply && f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(`"f:replicas"`)) {
			return true
		}
	}
	return false
}

// scaledBy tells whether the autoscaler is as a scale of a component asks, or
// rightly absent.
func (v view) scaledBy(c agent.Component, scale agent.Scale) bool {
	if v.autoscaler == nil || !scale.Auto() {
		return v.autoscaler == nil && !scale.Auto()
	}
	spec := v.autoscaler.Spec
	has := agent.Scale{Min: 1, Max: int(spec.MaxReplicas), CPU: scale.CPU}
	aimed := false
	if spec.MinReplicas != nil {
		has.Min = int(*spec.MinReplicas)
	}
	for _, m := range spec.Metrics {
		if m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageValue != nil {
			aimed = m.Resource.Target.AverageValue.Cmp(aim(c, scale)) == 0
		}
	}
	return aimed && has == scale
}

// autoscale describes what scales a component; nil where its number is fixed.
func (v view) autoscale(c agent.Component, scale agent.Scale) *agent.Autoscale {
	if !scale.Auto() {
		return nil
	}
	a := &agent.Autoscale{Min: scale.Min, Max: scale.Max, CPU: scale.CPU}
	if v.autoscaler == nil {
		return a
	}
	for _, m := range v.autoscaler.Status.CurrentMetrics {
		if m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Current.AverageValue != nil {
			limit := quantity(c.CPU, defaultCPU)
			now := int(m.Resource.Current.AverageValue.MilliValue() * 100 / limit.MilliValue())
			a.Now = &now
		}
	}
	for _, condition := range v.autoscaler.Status.Conditions {
		if reason := scalingReason(condition, scale); reason != "" {
			a.Reason = reason
			break
		}
	}
	return a
}

// scalingReason says what a condition of an autoscaler means for people; empty
// when it is nothing that they could miss.
func scalingReason(c autoscalingv2.HorizontalPodAutoscalerCondition, scale agent.Scale) string {
	switch {
	case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse && c.Reason == "ScalingDisabled":
		return "" // stopped
	case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse:
		return "the CPU of its instances can't be read: " + plain(c.Message)
	case c.Type == autoscalingv2.AbleToScale && c.Status == corev1.ConditionFalse:
		return "the number of instances can't be changed: " + plain(c.Message)
	case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas":
		return fmt.Sprintf("its load asks for more than %d instances", scale.Max)
	}
	return ""
}
