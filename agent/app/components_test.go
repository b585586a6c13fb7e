package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fielderrors "k8s.io/apimachinery/pkg/util/validation/field"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
)

// whole deploys an API, a website and a worker.
func whole(api, web string) agent.Deploy {
	return agent.Deploy{Env: map[string]string{"DATABASE_URL": "canary"}, Components: []agent.Component{
		{Name: "web", Image: web, Port: 3000, Path: "/"},
		{Name: "api", Image: api, Port: 8080, Path: "/api", Secrets: []string{"DATABASE_URL"}},
		{Name: "worker", Image: api, Command: []string{"./work"}},
	}}
}

// serveWhole plays the rollout of all of it to its good end.
func (w *world) serveWhole(release int) {
	w.t.Helper()
	for _, c := range []string{"api", "web", "worker"} {
		w.showsOf(c, release, int(*w.deploymentOf(c).Spec.Replicas))
		w.serveOf(c)
	}
	if got := w.release(release); got.Status != agent.ReleaseSucceeded {
		w.t.Fatalf("release %d is %s: %+v", release, got.Status, got.Failure)
	}
}

// backends are what the Ingress leads to, by host and path.
func (w *world) backends() map[string]string {
	w.t.Helper()
	i, err := w.set.NetworkingV1().Ingresses(testNamespace).Get(w.t.Context(), "web-staging", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	to := map[string]string{}
	for _, rule := range i.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			to[rule.Host+path.Path] = path.Backend.Service.Name
		}
	}
	return to
}

// gone fails unless nothing is left of a component but its pods.
func (w *world) gone(component string) {
	w.t.Helper()
	name := agent.ComponentName("web", agent.Staging, component)
	if _, err := w.set.AppsV1().Deployments(testNamespace).Get(w.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		w.t.Errorf("Deployment %s: %v", name, err)
	}
	if _, err := w.set.CoreV1().Services(testNamespace).Get(w.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		w.t.Errorf("Service %s: %v", name, err)
	}
	if _, err := w.set.PolicyV1().PodDisruptionBudgets(testNamespace).Get(w.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		w.t.Errorf("PodDisruptionBudget %s: %v", name, err)
	}
}

func TestComponentsServeOnlyWhenAllAreReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveOf("web")
		w.serveOf("api")
		w.is(agent.AppDeploying, 0)
		if len(w.asked) > 0 {
			t.Errorf("asked before all was ready: %v", w.asked)
		}
		w.serveOf("worker")
		a := w.is(agent.AppRunning, 1)
		for _, url := range []string{"https://web-staging.localhost", "https://web-staging.localhost/api"} {
			if !slices.Contains(w.asked, url) {
				t.Errorf("%s was not asked: %v", url, w.asked)
			}
		}
		if a.URL != "https://web-staging.localhost" || a.Image != "web:1" || a.Replicas != 3 || a.Ready != 3 || len(a.Components) != 3 || len(a.Instances) != 3 {
			t.Errorf("app: %+v", a)
		}
		for i, want := range []agent.ComponentState{
			{Name: "api", Image: "api:1", Digest: digestOf('d'), URL: "https://web-staging.localhost/api", Port: 8080, Replicas: 1, Ready: 1},
			{Name: "web", Image: "web:1", Digest: digestOf('a'), URL: "https://web-staging.localhost", Port: 3000, Replicas: 1, Ready: 1},
			{Name: "worker", Image: "api:1", Digest: digestOf('d'), Replicas: 1, Ready: 1},
		} {
			got := a.Components[i]
			if want.Usage = got.Usage; got != want {
				t.Errorf("component %+v, want %+v", got, want)
			}
			if a.Instances[i].Component != want.Name {
				t.Errorf("instance %+v is not of %s", a.Instances[i], want.Name)
			}
		}
		if to := w.backends(); len(to) != 2 || to["web-staging.localhost/"] != "web-staging-web" || to["web-staging.localhost/api"] != "web-staging-api" {
			t.Errorf("routes: %v", to)
		}
	})
}

func TestWorkerIsReachedByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := agent.Deploy{Components: []agent.Component{{Name: "worker", Image: "api:1"}}}
		w.deploy(d)
		w.serveOf("worker")
		if a := w.is(agent.AppRunning, 1); a.URL != "" || len(w.asked) > 0 {
			t.Errorf("URL %q, asked %v", a.URL, w.asked)
		}
		if _, err := w.set.NetworkingV1().Ingresses(testNamespace).Get(t.Context(), "web-staging", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("ingress: %v", err)
		}
		if _, err := w.set.CoreV1().Services(testNamespace).Get(t.Context(), "web-staging-worker", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("service: %v", err)
		}
		dep := w.deploymentOf("worker")
		c := dep.Spec.Template.Spec.Containers[0]
		if dep.Spec.MinReadySeconds != workerSeconds || c.StartupProbe != nil || c.ReadinessProbe != nil || len(c.Ports) > 0 || len(c.Env) > 0 {
			t.Errorf("%d s, container %+v", dep.Spec.MinReadySeconds, c)
		}
		// A new value must not open what the file kept inside.
		w.deploy(agent.Deploy{Env: map[string]string{"A": "b"}})
		w.serveOf("worker")
		if a := w.is(agent.AppRunning, 2); a.URL != "" {
			t.Errorf("URL %q", a.URL)
		}
	})
}

func TestRouteGoesWhenNothingIsReachedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		w.deploy(agent.Deploy{Components: []agent.Component{{Name: "worker", Image: "api:2"}}})
		if to := w.backends(); len(to) != 2 {
			t.Errorf("routes while on its way: %v", to)
		}
		w.serveOf("worker")
		w.is(agent.AppRunning, 2)
		if _, err := w.set.NetworkingV1().Ingresses(testNamespace).Get(t.Context(), "web-staging", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("ingress: %v", err)
		}
		w.gone("web")
		w.gone("api")
	})
}

func TestA13OneBadComponentBringsAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		d := whole("api:2", "web:2")
		d.Components = append(d.Components, agent.Component{Name: "mailer", Image: "api:2"})
		w.deploy(d)
		w.serveOf("api")
		w.serveOf("web")
		w.serveOf("mailer")
		w.podOf("worker", "web-staging-worker-2-0", crashed(7, 2))
		r := w.release(2)
		if r.Status != agent.ReleaseFailed || r.Failure.ExitCode == nil || *r.Failure.ExitCode != 7 || !strings.HasPrefix(r.Failure.Message, "worker: ") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		for _, c := range []string{"api", "web", "worker"} {
			w.showsOf(c, 1, 1)
		}
		w.gone("mailer")
		if a := w.is(agent.AppError, 1); !strings.Contains(a.Reason, "worker") || a.Image != "web:1" {
			t.Errorf("app: %+v", a)
		}
	})
}

func TestA13ImageOfOneComponentIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("nowhere:1", "web:1"))
		if r := w.release(1); r.Status != agent.ReleaseFailed || r.Failure.Code != agent.CodeImagePull || !strings.Contains(r.Failure.Message, "nowhere:1") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		w.gone("web")
	})
}

func TestComponentThatIsLeftOutGoesAfterTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := whole("api:1", "web:1")
		d.Replicas = map[string]agent.Scale{"api": agent.Fixed(2)}
		w.deploy(d)
		w.serveWhole(1)
		w.deploy(agent.Deploy{Components: []agent.Component{{Name: "web", Image: "web:2", Port: 3000, Path: "/"}}})
		w.showsOf("web", 2, 1)
		w.showsOf("api", 1, 2)
		w.showsOf("worker", 1, 1)
		if to := w.backends(); to["web-staging.localhost/api"] != "web-staging-api" {
			t.Errorf("routes while on its way: %v", to)
		}
		w.set.ClearActions()
		w.serveOf("web")
		w.gone("api")
		w.gone("worker")
		routed, removed := -1, -1
		for i, action := range w.set.Actions() {
			switch {
			case action.Matches("patch", "ingresses") && routed < 0:
				routed = i
			case (action.Matches("delete", "deployments") || action.Matches("delete", "services")) && removed < 0:
				removed = i
			}
		}
		if routed < 0 || removed < routed {
			t.Errorf("routed at action %d, removed at %d", routed, removed)
		}
		if a := w.is(agent.AppRunning, 2); len(a.Components) != 1 {
			t.Errorf("components: %+v", a.Components)
		}

		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 1, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.showsOf("api", 3, 2) // as many as before
		w.serveWhole(3)
		w.is(agent.AppRunning, 3)
		if to := w.backends(); len(to) != 2 {
			t.Errorf("routes after the rollback: %v", to)
		}
		if image := w.deploymentOf("web").Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, digestOf('a')) {
			t.Errorf("image %s", image)
		}
	})
}

func TestDeployOfOneComponentKeepsTheOthersImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		w.mu.Lock()
		w.images["api:1"] = digestOf('f') // the tag moved
		w.mu.Unlock()
		w.deploy(agent.Deploy{Change: []agent.Component{{Name: "web", Image: "web:2"}}})
		w.serveWhole(2)
		r := w.release(2)
		if r.Kind != "deploy" || r.Digests["web"] != digestOf('b') || r.Digests["api"] != digestOf('d') || r.Digests["worker"] != digestOf('d') {
			t.Errorf("release: %+v", r)
		}
	})
}

func TestA19ScaleIsOfAComponent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		for _, name := range []string{"", "none"} {
			_, err := w.m.Scale(t.Context(), "web", agent.Staging, name, agent.Fixed(2), "owner")
			if fix := fixOf(err); agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(fix, "api, web, worker") {
				t.Errorf("component %q: %v, fix %q", name, err, fix)
			}
		}
		a, err := w.m.Scale(t.Context(), "web", agent.Staging, "api", agent.Fixed(3), "owner")
		if err != nil || a.Replicas != 5 || a.Components[0].Replicas != 3 || a.Components[1].Replicas != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
		settle()
		w.showsOf("api", 1, 3)
		w.showsOf("worker", 1, 1)
		budgets, err := w.set.PolicyV1().PodDisruptionBudgets(testNamespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(budgets.Items) != 1 || budgets.Items[0].Name != "web-staging-api" {
			t.Errorf("budgets: %v, %v", budgets.Items, err)
		}
		w.serveOf("api")
		w.deploy(whole("api:2", "web:2"))
		w.showsOf("api", 2, 3)
		if _, err := w.m.Scale(t.Context(), "web", agent.Staging, "worker", agent.Fixed(18), "owner"); agent.CodeOf(err) != agent.CodePlanLimit {
			t.Errorf("22 of 20 instances: %v", err)
		}
		if _, err := w.m.Scale(t.Context(), "web", agent.Staging, "worker", agent.Fixed(5), "owner"); agent.CodeOf(err) != agent.CodeQuota {
			t.Errorf("4.5 of 4 cores: %v", err)
		}
	})
}

func fixOf(err error) string {
	e, _ := err.(*agent.Error) //nolint:errorlint // as the manager returns it
	if e == nil {
		return ""
	}
	return e.Fix
}

func TestComponentsAreRefusedBeforeAnythingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		with := func(change func(c []agent.Component)) agent.Deploy {
			d := whole("api:1", "web:1")
			change(d.Components)
			return d
		}
		many := agent.Deploy{}
		for range maxComponents + 1 {
			many.Components = append(many.Components, agent.Component{Name: "c" + strings.Repeat("x", len(many.Components)), Image: "web:1"})
		}
		long := strings.Repeat("l", maxNames-len("web"))
		tests := map[string]struct {
			d     agent.Deploy
			code  agent.Code
			words string
		}{
			"none":                  {agent.Deploy{Components: []agent.Component{}}, agent.CodeInvalid, "no component"},
			"nothing to keep":       {agent.Deploy{}, agent.CodeInvalid, "no component"},
			"both":                  {agent.Deploy{Components: whole("api:1", "web:1").Components, Change: []agent.Component{{Image: "web:2"}}}, agent.CodeInvalid, "both"},
			"no name":               {with(func(c []agent.Component) { c[0].Name = "" }), agent.CodeInvalid, "name"},
			"one name":              {with(func(c []agent.Component) { c[0].Name = "api" }), agent.CodeInvalid, `two components "api"`},
			"name of an env":        {with(func(c []agent.Component) { c[0].Name = "staging" }), agent.CodeInvalid, "is an environment"},
			"name ends in an env":   {with(func(c []agent.Component) { c[0].Name = "x-production" }), agent.CodeInvalid, "is an environment"},
			"too long together":     {with(func(c []agent.Component) { c[0].Name = long[1:] + "ab" }), agent.CodeInvalid, ""},
			"too many":              {many, agent.CodeInvalid, "21 components"},
			"one route":             {with(func(c []agent.Component) { c[0].Path = "/api" }), agent.CodeInvalid, "api and web have the same route web-staging.localhost/api"},
			"one route, slash":      {with(func(c []agent.Component) { c[0].Path = "/api/" }), agent.CodeInvalid, "same route"},
			"one route, host named": {with(func(c []agent.Component) { c[0].Path, c[0].Host = "/api", "web-staging.localhost" }), agent.CodeInvalid, "same route"},
			"route without port":    {with(func(c []agent.Component) { c[2].Path = "/work" }), agent.CodeInvalid, "TCP port"},
			"health without port":   {with(func(c []agent.Component) { c[2].Health = "/ok" }), agent.CodeInvalid, "TCP port"},
			"secret missing":        {with(func(c []agent.Component) { c[2].Secrets = []string{"MAIL_KEY"} }), agent.CodeInvalid, "worker needs the secret MAIL_KEY"},
			"env":                   {with(func(c []agent.Component) { c[0].Env = map[string]string{"a-b": "c"} }), agent.CodeInvalid, "environment variable"},
			"release":               {with(func(c []agent.Component) { c[0].Release = []string{"a\x00"} }), agent.CodeInvalid, "zero byte"},
			"image":                 {with(func(c []agent.Component) { c[1].Image = "" }), agent.CodeInvalidImage, ""},
			"quota over all": {with(func(c []agent.Component) {
				for i := range c {
					c[i].CPU = "1500m"
				}
			}), agent.CodeQuota, "3 instances asked for 4.5 cores"},
			"replicas of none": {agent.Deploy{Components: whole("api:1", "web:1").Components, Env: map[string]string{"DATABASE_URL": "x"}, Replicas: map[string]agent.Scale{"none": agent.Fixed(2)}},
				agent.CodeInvalid, `no component "none"`},
		}
		for name, tt := range tests {
			if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, tt.d, "owner"); agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.words) || fixOf(err) == "" {
				t.Errorf("%s: %v (%s), want %s", name, err, fixOf(err), tt.code)
			}
		}
		if apps, err := w.m.List(t.Context()); err != nil || len(apps) > 0 {
			t.Errorf("made: %v, %v", apps, err)
		}
		if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, with(func(c []agent.Component) { c[0].Name = long[:maxNames-len("web")-1] }), "owner"); err != nil && len(long) <= agent.MaxNameLength {
			t.Errorf("the longest name: %v", err)
		}
	})
}

func TestDeploymentOfBeforeComponentsIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		old := w.deployment().DeepCopy()
		delete(old.Spec.Selector.MatchLabels, agent.LabelComponent)
		if _, err := w.set.AppsV1().Deployments(testNamespace).Update(t.Context(), old, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.set.PrependReactor("patch", "deployments", func(action clienttesting.Action) (bool, runtime.Object, error) {
			object, err := w.set.Tracker().Get(action.GetResource(), testNamespace, "web-staging")
			if d, ok := object.(*appsv1.Deployment); err == nil && ok && d.Spec.Selector.MatchLabels[agent.LabelComponent] == "" {
				return true, nil, apierrors.NewInvalid(appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind(), "web-staging", fielderrors.ErrorList{
					fielderrors.Invalid(fielderrors.NewPath("spec", "selector"), d.Spec.Selector, "field is immutable")})
			}
			return false, nil, nil
		})
		w.deploy(spec("web:2"))
		time.Sleep(2 * time.Second)
		settle()
		orphaned := false
		for _, action := range w.set.Actions() {
			if gone, ok := action.(clienttesting.DeleteActionImpl); ok && action.Matches("delete", "deployments") {
				orphaned = *gone.DeleteOptions.PropagationPolicy == metav1.DeletePropagationOrphan
			}
		}
		if !orphaned {
			t.Error("the instances that served were not left in peace")
		}
		w.serve(2)
		w.is(agent.AppRunning, 2)
		if w.deployment().Spec.Selector.MatchLabels[agent.LabelComponent] != "app" {
			t.Errorf("selector: %v", w.deployment().Spec.Selector)
		}
	})
}
