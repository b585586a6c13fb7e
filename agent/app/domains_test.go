package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// ingress is the app's Ingress as the cluster has it.
func (w *world) ingress() *networkingv1.Ingress {
	w.t.Helper()
	in, err := w.set.NetworkingV1().Ingresses(testNamespace).Get(w.t.Context(), "web-staging", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// routesIn lists HOST/PATH -> service.
func routesIn(in *networkingv1.Ingress) string {
	var all []string
	for _, rule := range in.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			all = append(all, rule.Host+path.Path+" "+path.Backend.Service.Name)
		}
	}
	return strings.Join(all, ", ")
}

func (w *world) domain(host, component string) {
	w.t.Helper()
	if err := w.m.Claim(w.t.Context(), "web", agent.Staging, component, host); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.cfg.Store.AddDomain(w.t.Context(), store.Domain{Host: host, App: "web", Environment: agent.Staging, Component: component, By: "owner"}); err != nil {
		w.t.Fatal(err)
	}
	w.m.Reroute("web", agent.Staging)
	settle()
}

func TestA22DomainsAreRoutesOfTheAppAndOutliveARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.domain("www.example.com", "")
		want := "web-staging.localhost/ web-staging, www.example.com/ web-staging"
		if got := routesIn(w.ingress()); got != want {
			t.Errorf("with a domain: %s", got)
		}
		w.deployed(spec("web:2"))
		if got := routesIn(w.ingress()); got != want {
			t.Errorf("after a deploy: %s", got)
		}
		r, err := w.m.Rollback(t.Context(), "web", agent.Staging, 1, "owner")
		if err != nil {
			t.Fatal(err)
		}
		settle()
		w.serve(r.Number)
		if got := routesIn(w.ingress()); got != want {
			t.Errorf("after a rollback: %s", got)
		}
		// The agent dies between the row and the cluster: the next start tells it.
		w.stop()
		if err := w.cfg.Store.RemoveDomain(t.Context(), "www.example.com"); err != nil {
			t.Fatal(err)
		}
		w.start()
		settle()
		if got := routesIn(w.ingress()); got != "web-staging.localhost/ web-staging" {
			t.Errorf("after removal and a restart: %s", got)
		}
		w.domain("last.example.com", "")
		deleted := make(chan agent.Deletion, 1)
		go func() {
			d, err := w.m.Delete(t.Context(), "web", agent.Staging, "owner")
			if err != nil {
				t.Error(err)
			}
			deleted <- d
		}()
		settle()
		w.dropPods()
		if d := <-deleted; !slices.Contains(d.Removed, "domain/last.example.com") {
			t.Errorf("deleting the app removed %v", d.Removed)
		}
		if left, err := w.cfg.Store.Domains(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("domains that outlive their app: %v %v", left, err)
		}
	})
}

func TestA22DomainOfAComponent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(agent.Deploy{Components: []agent.Component{{Name: "api", Image: "api:1", Port: 8080, Path: "/api"}, {Name: "page", Image: "web:1", Port: 3000, Path: "/"}, {Name: "queue", Image: "api:1"}}})
		w.domain("www.example.com", "")
		w.domain("api.example.com", "api")
		const want = "web-staging.localhost/api web-staging-api, web-staging.localhost/ web-staging-page, api.example.com/ web-staging-api, www.example.com/api web-staging-api, www.example.com/ web-staging-page"
		if got := routesIn(w.ingress()); got != want {
			t.Errorf("routes %s", got)
		}
		for component, code := range map[string]agent.Code{"queue": agent.CodeInvalid, "nothing": agent.CodeInvalid} {
			if err := w.m.Claim(t.Context(), "web", agent.Staging, component, "x.example.com"); agent.CodeOf(err) != code {
				t.Errorf("component %s: %v", component, err)
			}
		}
	})
}

func TestA22HostsThatAreTakenAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.cfg.Reserved = []string{"localhost", "hks.example.com"}
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080, Host: "one.example.com"}}})
		w.domain("www.example.com", "")
		if _, err := w.m.Deploy(t.Context(), "other", agent.Staging, agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 80, Host: "www.example.com"}}}, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("a deploy with the host of a domain: %v", err)
		}
		if _, err := w.m.Deploy(t.Context(), "other", agent.Staging, spec("web:1"), "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		for host, code := range map[string]agent.Code{"one.example.com": agent.CodeConflict, "other-staging.localhost": "", "hks.example.com": agent.CodeInvalid, "*.localhost": agent.CodeInvalid} {
			if err := w.m.Claim(t.Context(), "other", agent.Staging, "", host); agent.CodeOf(err) != code {
				t.Errorf("%s: %v", host, err)
			}
		}
		if err := w.m.Claim(t.Context(), "nothing", agent.Staging, "", "a.example.com"); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("an app that is not there: %v", err)
		}
	})
}

func TestMaintenancePageIsAnAnnotationThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		set := func(on bool, message string) {
			t.Helper()
			if _, err := w.m.SetMaintenance(t.Context(), "web", agent.Staging, on, message, "owner"); err != nil {
				t.Fatal(err)
			}
			settle()
		}
		set(true, "Back at nine.")
		if got := w.ingress().Annotations[agent.AnnotationMaintenance]; got != "Back at nine." {
			t.Errorf("annotation %q", got)
		}
		if a := w.is(agent.AppRunning, 1); a.Maintenance == nil || !a.Maintenance.On || !a.Maintenance.Applied || a.Maintenance.By != "owner" {
			t.Errorf("app %+v", a.Maintenance)
		}
		w.deployed(spec("web:2"))
		w.stop()
		w.start()
		settle()
		if _, on := w.ingress().Annotations[agent.AnnotationMaintenance]; !on {
			t.Error("a deploy takes the page away")
		}
		set(false, "")
		if a := w.is(agent.AppRunning, 2); a.Maintenance != nil {
			t.Errorf("app %+v", a.Maintenance)
		}
		if _, err := w.m.SetMaintenance(t.Context(), "web", agent.Staging, true, "two\nlines", "owner"); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("two lines: %v", err)
		}
	})
}
