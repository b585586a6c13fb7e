package app

import (
	"strings"
	"testing"
	"testing/synctest"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

var upTo4 = agent.Scale{Min: 1, Max: 4, CPU: 70}

// autoscaler is the one of the app's only component; nil where there is none.
func (w *world) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	w.t.Helper()
	h, err := w.set.AutoscalingV2().HorizontalPodAutoscalers(testNamespace).Get(w.t.Context(), "web-staging", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// scaled plays the autoscaler: it changes the Deployment's number.
func (w *world) scaled(replicas int32) {
	w.t.Helper()
	d := w.deployment().DeepCopy()
	d.Spec.Replicas = &replicas
	if _, err := w.set.AppsV1().Deployments(testNamespace).Update(w.t.Context(), d, metav1.UpdateOptions{FieldManager: "kube-controller-manager"}); err != nil {
		w.t.Fatal(err)
	}
	settle()
}

func (w *world) scale(to agent.Scale) agent.App {
	w.t.Helper()
	a, err := w.m.Scale(w.t.Context(), "web", agent.Staging, "", to, "owner")
	if err != nil {
		w.t.Fatal(err)
	}
	settle()
	return a
}

// hasScaler fails unless the autoscaler is as the scale asks, and hks does not
// name the number of instances.
func (w *world) hasScaler(scale agent.Scale) {
	w.t.Helper()
	h := w.autoscaler()
	if h == nil || !(view{autoscaler: h}).scaledBy(agent.Component{}, scale) {
		w.t.Fatalf("the autoscaler is %+v, want %s", h, scale)
	}
	if ownsReplicas(w.deployment().ManagedFields) {
		w.t.Fatal("hks names the number of instances that the autoscaler sets")
	}
}

func TestA19AutoscaleKeepsTheNumberThroughEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.scale(agent.Fixed(3))
		w.serve(1)
		if !ownsReplicas(w.deployment().ManagedFields) {
			t.Fatal("hks does not name the number of instances")
		}

		// From a fixed number: no instance goes by the change itself.
		w.scale(upTo4)
		w.hasScaler(upTo4)
		w.shows(1, 3)
		a := w.is(agent.AppRunning, 1)
		if c := a.Components[0]; a.Replicas != 3 || c.Replicas != 3 || c.Autoscale == nil || c.Autoscale.Max != 4 || c.Autoscale.Now != nil {
			t.Errorf("shown as %d, %+v", a.Replicas, c)
		}

		// The autoscaler's number is the one to reach.
		w.scaled(4)
		if a := w.is(agent.AppUpdating, 1); a.Replicas != 4 || !strings.Contains(a.Reason, "3 of 4") {
			t.Errorf("%d, %q", a.Replicas, a.Reason)
		}
		w.serve(1)
		w.is(agent.AppRunning, 1)

		// A release and a rollback leave it.
		w.deployed(spec("web:2"))
		w.shows(2, 4)
		w.hasScaler(upTo4)
		w.scaled(2)
		w.serve(2)
		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 0, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.shows(3, 2)
		w.serve(3)
		w.is(agent.AppRunning, 3)
		w.hasScaler(upTo4)

		// A restart of the agent does too.
		w.stop()
		w.start()
		settle()
		w.shows(3, 2)
		w.is(agent.AppRunning, 3)

		// Stopped there is nothing to scale; started, it begins at the least.
		if _, err := w.m.StopApp(t.Context(), "web", agent.Staging, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.shows(3, 0)
		if w.autoscaler() != nil {
			t.Error("a stopped app has an autoscaler")
		}
		w.dropPods()
		w.is(agent.AppStopped, 3)
		if _, err := w.m.StartApp(t.Context(), "web", agent.Staging, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.shows(3, 1)
		w.hasScaler(upTo4)
		w.serve(3)
		w.is(agent.AppRunning, 3)

		// Other bounds bring the number within them.
		w.scale(agent.Scale{Min: 2, Max: 5, CPU: 50})
		w.shows(3, 2)
		w.hasScaler(agent.Scale{Min: 2, Max: 5, CPU: 50})

		// And back to a fixed number.
		w.scale(agent.Fixed(1))
		w.shows(3, 1)
		if w.autoscaler() != nil || !ownsReplicas(w.deployment().ManagedFields) {
			t.Error("the number is not hks's again")
		}
		w.serve(3)
		if a := w.is(agent.AppRunning, 3); a.Components[0].Autoscale != nil {
			t.Errorf("%+v", a.Components[0].Autoscale)
		}
	})
}

func TestAutoscaleOfANewApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := spec("web:1")
		d.Replicas = map[string]agent.Scale{agent.DefaultComponent: {Min: 2, Max: 4, CPU: 70}}
		w.deploy(d)
		w.shows(1, 2)
		w.serve(1)
		w.is(agent.AppRunning, 1)
		w.hasScaler(agent.Scale{Min: 2, Max: 4, CPU: 70})
		if _, err := w.set.PolicyV1().PodDisruptionBudgets(testNamespace).Get(t.Context(), "web-staging", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}

		changes, err := w.m.Diff(t.Context(), "web", agent.Staging, agent.Deploy{Replicas: map[string]agent.Scale{agent.DefaultComponent: agent.Fixed(2)}})
		if err != nil || len(changes) != 1 || changes[0].From != "2 to 4 instances at 70 % CPU" || changes[0].To != "2" {
			t.Errorf("%+v, %v", changes, err)
		}

		deletion := make(chan agent.Deletion)
		go func() {
			gone, err := w.m.Delete(t.Context(), "web", agent.Staging, "owner")
			if err != nil {
				t.Error(err)
			}
			deletion <- gone
		}()
		settle()
		w.dropPods()
		if gone := <-deletion; !strings.Contains(strings.Join(gone.Removed, " "), "horizontalpodautoscaler/web-staging") || w.autoscaler() != nil {
			t.Errorf("removed %v", gone.Removed)
		}
	})
}

// A first release that fails leaves nothing that would bring instances back.
func TestAutoscaleOfAFailedFirstRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := spec("web:1")
		d.Replicas = map[string]agent.Scale{agent.DefaultComponent: upTo4}
		w.deploy(d)
		w.pod("p", crashed(7, 3))
		w.is(agent.AppError, 0)
		w.shows(1, 0)
		if w.autoscaler() != nil {
			t.Error("there is an autoscaler of nothing")
		}
		w.dropPods()
		w.deploy(spec("web:2"))
		w.shows(2, 1)
		w.serve(2)
		w.is(agent.AppRunning, 2)
		w.hasScaler(upTo4)
	})
}

func TestAutoscaleNeedsRoomForTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		for scale, code := range map[agent.Scale]agent.Code{
			{Min: 1, Max: 9, CPU: 70}:  agent.CodeQuota,     // 4.5 of 4 cores
			{Min: 1, Max: 21, CPU: 70}: agent.CodePlanLimit, // of 20 pods
			{Min: 0, Max: 3, CPU: 70}:  agent.CodeInvalid,
			{Min: 3, Max: 3, CPU: 70}:  agent.CodeInvalid,
			{Min: 1, Max: 3, CPU: 1}:   agent.CodeInvalid,
		} {
			_, err := w.m.Scale(t.Context(), "web", agent.Staging, "", scale, "owner")
			if agent.CodeOf(err) != code {
				t.Errorf("%+v: %v", scale, err)
			}
			if code == agent.CodeQuota && !strings.Contains(err.Error(), "9 instances asked for 4.5 cores, the workspace has 4 cores in all") {
				t.Errorf("%v", err)
			}
		}
		w.shows(1, 1)
	})
}

func TestAutoscaleShowsWhatTheAutoscalerSees(t *testing.T) {
	taken := resource.MustParse("900m") // of two cores
	measured := autoscalingv2.MetricStatus{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
		Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageValue: &taken}}}
	condition := func(kind autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason, message string) autoscalingv2.HorizontalPodAutoscalerStatus {
		return autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: kind, Status: status, Reason: reason, Message: message}}}
	}
	for name, tt := range map[string]struct {
		status autoscalingv2.HorizontalPodAutoscalerStatus
		now    int // 0: not measured
		reason string
	}{
		"just made":    {},
		"measured":     {autoscalingv2.HorizontalPodAutoscalerStatus{CurrentMetrics: []autoscalingv2.MetricStatus{measured}}, 45, ""},
		"no metrics":   {condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "FailedGetResourceMetric", "no metrics\nreturned"), 0, "the CPU of its instances can't be read: no metrics returned"},
		"all is well":  {condition(autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound", "fine"), 0, ""},
		"stopped":      {condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled", "replicas 0"), 0, ""},
		"not able":     {condition(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedUpdateScale", "refused"), 0, "the number of instances can't be changed: refused"},
		"wants more":   {condition(autoscalingv2.ScalingLimited, corev1.ConditionTrue, "TooManyReplicas", ""), 0, "its load asks for more than 4 instances"},
		"at the least": {condition(autoscalingv2.ScalingLimited, corev1.ConditionTrue, "TooFewReplicas", ""), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := view{autoscaler: &autoscalingv2.HorizontalPodAutoscaler{Status: tt.status}}.autoscale(agent.Component{CPU: "2"}, upTo4)
			if (a.Now == nil) != (tt.now == 0) || a.Now != nil && *a.Now != tt.now || a.Reason != tt.reason {
				t.Errorf("%+v", a)
			}
		})
	}
	if a := (view{}).autoscale(agent.Component{}, agent.Fixed(2)); a != nil {
		t.Errorf("a fixed number: %+v", a)
	}
}
