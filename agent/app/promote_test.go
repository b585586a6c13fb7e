package app

import (
	"strings"
	"testing"
	"testing/synctest"

	"hks.dev/hks/agent"
)

func TestPromoteTakesImagesByDigestAndKeepsWhatIsOfTheEnvironment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		promote := func(to agent.Environment) (agent.Release, error) {
			r, err := w.m.Promote(t.Context(), "web", agent.Staging, to, "owner")
			settle()
			return r, err
		}
		if _, err := promote(agent.Production); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("no app: %v", err)
		}
		w.deploy(whole("api:2", "web:2"))
		if r, err := promote(agent.Production); agent.CodeOf(err) != agent.CodeConflict || r.Number != 0 {
			t.Errorf("nothing serves yet: %+v, %v", r, err)
		}
		w.serveWhole(1)
		w.deploy(whole("nowhere:1", "web:3")) // failed: what serves is promoted
		if _, err := promote(agent.Staging); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("to where it is: %v", err)
		}
		if _, err := promote("moon"); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("to nowhere: %v", err)
		}
		if _, err := promote(agent.Production); agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), "DATABASE_URL") ||
			!strings.Contains(fixOf(err), "--environment production") {
			t.Errorf("a secret that production does not have: %v (%s)", err, fixOf(err))
		}

		there := whole("api:1", "web:1")
		there.Env = map[string]string{"DATABASE_URL": "production", "ONLY": "there"}
		there.Components[0].Host, there.Components[1].Host = "www.example.com", "www.example.com"
		there.Replicas = map[string]agent.Scale{"api": agent.Fixed(2)}
		if _, err := w.m.Deploy(t.Context(), "web", agent.Production, there, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.mu.Lock()
		w.images["api:2"] = digestOf('f') // the tag moved
		w.mu.Unlock()
		r, err := promote(agent.Production)
		if err != nil {
			t.Fatal(err)
		}
		if r.Number != 2 || r.Kind != "promote" || r.From != 1 || r.Environment != agent.Production || r.Digests["api"] != digestOf('e') || r.Digests["web"] != digestOf('b') {
			t.Errorf("accepted: %+v", r)
		}
		open, _, err := w.cfg.Store.OpenRelease(t.Context(), "web", agent.Production, 2)
		if err != nil || len(open.Spec.Env) != 2 || open.Spec.Env["DATABASE_URL"] != "production" {
			t.Errorf("environment: %v, %v", open.Spec.Env, err)
		}
		if pull := open.Images["worker"].Pull; pull != "registry.hks.internal/api@"+digestOf('e') {
			t.Errorf("pulls %s", pull)
		}
		if c, _ := open.Spec.Component("api"); c.Host != "www.example.com" || c.Image != "api:2" {
			t.Errorf("api: %+v", c)
		}
		if c, _ := open.Spec.Component("worker"); c.Host != "" {
			t.Errorf("worker: %+v", c)
		}
		if state, _, err := w.cfg.Store.App(t.Context(), "web", agent.Production); err != nil || state.Replicas("api") != agent.Fixed(2) || state.Replicas("web") != agent.Fixed(1) {
			t.Errorf("scale: %v, %v", state.Scale, err)
		}
	})
}

func TestPromoteRefusesAnImageThatIsNotKnownExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("far:1"))
		_, err := w.m.Promote(t.Context(), "web", agent.Staging, agent.Production, "owner")
		if agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "far:1") {
			t.Errorf("promoted: %v", err)
		}
	})
}
