package pipeline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

func (b *bench) edit(change func(p *agent.Pipeline)) {
	b.t.Helper()
	p, err := b.Manager.Get(b.t.Context(), "shop")
	if err == nil {
		change(&p)
		_, err = b.Edit(b.t.Context(), p, "owner")
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) request(n int) agent.BuildRequest {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	if n >= len(b.requests) {
		b.t.Fatalf("there were %d builds", len(b.requests))
	}
	return b.requests[n]
}

func TestSettingsAreSealedEditedAndGivenToBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p, err := b.SetEnv(t.Context(), "shop", agent.PipelineEnv{Set: map[string]string{"COLOR": "red"}, Secrets: map[string]string{"TOKEN": "hunter22"}}, "owner")
		if err != nil || len(p.Variables) != 2 || p.Variables[1] != (agent.PipelineVariable{Name: "TOKEN", Secret: true}) {
			t.Fatalf("%+v %v", p.Variables, err)
		}
		b.edit(func(p *agent.Pipeline) { p.Test, p.Reports = []string{"npm", "test"}, "reports" })
		time.Sleep(2 * time.Minute)
		if _, err := b.Trigger(t.Context(), "shop", "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		r := b.request(1)
		if r.Args["COLOR"] != "red" || r.Secrets["TOKEN"] != "hunter22" || r.Reports != "reports" || len(r.TestCommand) != 2 || r.Apart != "" || r.Only {
			t.Errorf("%+v", r)
		}
		if p, err = b.SetEnv(t.Context(), "shop", agent.PipelineEnv{Unset: []string{"TOKEN"}}, "owner"); err != nil || len(p.Variables) != 1 {
			t.Errorf("%+v %v", p.Variables, err)
		}
		if _, err := b.SetEnv(t.Context(), "shop", agent.PipelineEnv{Set: map[string]string{"a b": "x"}}, "owner"); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("a name with a blank: %v", err)
		}
		for name, change := range map[string]func(p *agent.Pipeline){
			"folder": func(p *agent.Pipeline) { p.Folder = "../x" }, "reports": func(p *agent.Pipeline) { p.Reports = "/etc" },
			"previews without pull requests": func(p *agent.Pipeline) { p.Previews = 1 }, "previews": func(p *agent.Pipeline) { p.PullRequests, p.Previews = true, 99 },
			"paths": func(p *agent.Pipeline) { p.Paths = []string{"[a"} }, "tags": func(p *agent.Pipeline) { p.PromoteTags = "[" },
		} {
			p, err := b.Manager.Get(t.Context(), "shop")
			if err != nil {
				t.Fatal(err)
			}
			change(&p)
			if _, err := b.Edit(t.Context(), p, "owner"); agent.CodeOf(err) != agent.CodeInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAPushThatTouchesNoneOfThePathsStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.edit(func(p *agent.Pipeline) { p.Paths = []string{"services/shop", "!**/*.md"} })
		time.Sleep(2 * time.Minute)
		for sha, files := range map[string][]string{"b": {"README.md", "services/web/x.js"}, "d": {"services/shop/README.md"}} {
			b.set(func() { b.files = files })
			b.push(sha)
			time.Sleep(3 * time.Minute)
		}
		b.expect("a manual succeeded")
		b.set(func() { b.files = []string{"x", "services/shop/deep/in/it.js"} })
		b.push("c")
		time.Sleep(3 * time.Minute)
		b.expect("a manual succeeded, c poll succeeded")
	})
}

func TestA40ForkIsBuiltApartWithNoSecretsAfterApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		if _, err := b.SetEnv(t.Context(), "shop", agent.PipelineEnv{Set: map[string]string{"COLOR": "red"}, Secrets: map[string]string{"TOKEN": "hunter22"}}, "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if got := b.deliverEvent("pull_request", "1", b.world.hook, ""); got != "ignored" {
			t.Errorf("pull requests are off: %s", got)
		}
		b.edit(func(p *agent.Pipeline) { p.PullRequests, p.Previews = true, 2 })
		time.Sleep(time.Second) // the look that comes of the change
		b.set(func() {
			b.pulls = []agent.Pull{{Number: 7, SHA: strings.Repeat("f", 40), Fork: true, Title: "$(reboot)"}}
		})
		if got := b.deliverEvent("pull_request", "2", b.world.hook, ""); got != "accepted" {
			t.Errorf("it was %s", got)
		}
		time.Sleep(5 * time.Minute)
		b.expect("a manual succeeded, f webhook pending")
		b.push("b") // a run that waits is in nobody's way
		time.Sleep(3 * time.Minute)
		b.expect("a manual succeeded, f webhook pending, b poll succeeded")
		r, err := b.Approve(t.Context(), 2, "owner")
		if err != nil || r.Approval != "owner" {
			t.Fatalf("%+v %v", r, err)
		}
		time.Sleep(3 * time.Minute)
		b.expect("a manual succeeded, f webhook succeeded, b poll succeeded")
		request := b.request(2)
		if len(request.Secrets)+len(request.Args) > 0 || request.Apart != "pull-7" || !request.Only {
			t.Errorf("a fork was built with %+v", request)
		}
		if len(b.deployments) != 6 { // of the branch: made, in progress, success, twice
			t.Errorf("deployments: %q", b.deployments)
		}
		if _, err := b.Approve(t.Context(), 2, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("approved twice: %v", err)
		}
		// A newer commit of it needs an approval of its own.
		b.set(func() { b.pulls[0].SHA = strings.Repeat("e", 40) })
		time.Sleep(time.Minute)
		b.expect("a manual succeeded, f webhook succeeded, b poll succeeded, e poll pending")
		b.set(func() { b.pulls = nil }) // closed
		time.Sleep(time.Minute)
		b.expect("a manual succeeded, f webhook succeeded, b poll succeeded, e poll cancelled")
		if len(b.deleted) > 0 || len(b.ended) != 2 {
			t.Errorf("removed %v, told %v", b.deleted, b.ended)
		}
	})
}

func TestPreviewsHaveALimitAndAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.edit(func(p *agent.Pipeline) { p.PullRequests, p.Previews, p.PreviewDays = true, 1, 2 })
		b.set(func() {
			b.pulls = []agent.Pull{{Number: 1, SHA: strings.Repeat("1", 40), Branch: "one"}, {Number: 2, SHA: strings.Repeat("2", 40), Branch: "two"}}
		})
		time.Sleep(5 * time.Minute)
		runs, err := b.Runs(t.Context(), "shop")
		if err != nil || len(runs) != 3 {
			t.Fatalf("%+v %v", runs, err)
		}
		if runs[1].App != "shop-pr-1" || runs[1].Release == 0 || len(runs[1].Steps) != 3 {
			t.Errorf("the preview: %+v", runs[1])
		}
		if runs[0].App != "" || runs[0].Release != 0 || runs[0].Status != agent.RunSucceeded || !strings.Contains(runs[0].Note, "no preview") {
			t.Errorf("the one too many: %+v", runs[0])
		}
		b.set(func() { b.pulls = b.pulls[1:] }) // the first is closed
		time.Sleep(2 * time.Minute)
		if strings.Join(b.deleted, " ") != "shop-pr-1" {
			t.Errorf("removed: %v", b.deleted)
		}
		b.set(func() { b.pulls[0].SHA = strings.Repeat("3", 40) })
		time.Sleep(3 * time.Minute)
		if all, err := b.Previews(t.Context()); err != nil || len(all) != 1 || all[0].App != "shop-pr-2" {
			t.Errorf("%+v %v", all, err)
		}
		time.Sleep(49 * time.Hour)
		if all, err := b.Previews(t.Context()); err != nil || len(all) != 0 || len(b.deleted) != 2 {
			t.Errorf("after its days: %+v %v, removed %v", all, err, b.deleted)
		}
	})
}

func TestPreviewsGoWithTheirPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.edit(func(p *agent.Pipeline) { p.PullRequests, p.Previews = true, 1 })
		b.set(func() { b.pulls = []agent.Pull{{Number: 1, SHA: strings.Repeat("1", 40)}} })
		time.Sleep(5 * time.Minute)
		if err := b.Delete(t.Context(), "shop", "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if all, err := b.Previews(t.Context()); err != nil || len(all) != 0 || strings.Join(b.deleted, " ") != "shop-pr-1" {
			t.Errorf("%+v %v %v", all, err, b.deleted)
		}
	})
}

func TestAFailedReleaseIsMadeAgainWithoutABuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set(func() { b.rollout = agent.ReleaseFailed })
		time.Sleep(2 * time.Minute)
		b.expect("a manual failed")
		if _, err := b.Rerun(t.Context(), 1, true, "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.expect("a manual failed, a rerun succeeded")
		if len(b.builds) != 1 || len(b.released) != 1 || b.released[0].By != "run 2 (aaaaaaa)" {
			t.Errorf("%d builds, %+v", len(b.builds), b.released)
		}
		if _, err := b.Rerun(t.Context(), 2, true, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("from no failed step: %v", err)
		}
	})
}

func TestA39TagPromotesWhatStagingServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set(func() { b.tags, b.serving = map[string]string{"v0": strings.Repeat("a", 40)}, 1 })
		b.edit(func(p *agent.Pipeline) { p.PromoteTags = "v*" })
		time.Sleep(20 * time.Second) // the run is still at work
		b.set(func() { b.tags["v1"], b.tags["other"] = strings.Repeat("a", 40), strings.Repeat("a", 40) })
		if got := b.deliver("t", b.world.hook, "refs/tags/v1"); got != "accepted" {
			t.Errorf("the tag was %s", got)
		}
		time.Sleep(5 * time.Second)
		if len(b.promoted) > 0 {
			t.Errorf("promoted before it was in staging: %v", b.promoted)
		}
		time.Sleep(3 * time.Minute)
		if strings.Join(b.promoted, ", ") != "shop to production by tag v1" {
			t.Errorf("promoted: %q", b.promoted)
		}
		b.set(func() { b.tags["v2"], b.tags["v3"] = strings.Repeat("9", 40), strings.Repeat("a", 40); b.serving = 5 })
		time.Sleep(2 * time.Hour)
		tags, err := b.store.Tags(t.Context(), "shop")
		states := map[string]string{}
		for _, tag := range tags {
			states[tag.Name] = tag.State
		}
		if err != nil || len(b.promoted) != 1 || states["v0"] != store.TagSeen || states["v1"] != store.TagPromoted || states["v2"] != store.TagRefused || states["v3"] != store.TagRefused {
			t.Errorf("promoted %v, tags %v, %v", b.promoted, states, err)
		}
	})
}

func TestSlowRunIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		again := func() {
			if _, err := b.Trigger(t.Context(), "shop", "owner"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		time.Sleep(2 * time.Minute)
		for range 5 {
			again()
		}
		b.set(func() { b.slow = 5 * time.Minute })
		again()
		again()
		if len(b.news) != 1 || !strings.Contains(b.news[0], "usually take 1m") {
			t.Errorf("told: %q", b.news)
		}
	})
}

func TestTestsAreKeptAndChanceIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set(func() {
			b.tests = []agent.TestCase{{Name: "adds", Outcome: agent.TestPassed}, {Name: "waits", Outcome: agent.TestPassed}, {Name: "later", Outcome: agent.TestSkipped}}
		})
		time.Sleep(2 * time.Minute)
		b.set(func() { b.tests[1].Outcome, b.fails = agent.TestFailed, true })
		if _, err := b.Rerun(t.Context(), 1, false, "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		tests, err := b.Manager.Tests(t.Context(), 2)
		if err != nil || len(tests) != 3 || tests[0].Flaky != "" || !strings.Contains(tests[1].Flaky, "same commit") {
			t.Errorf("%+v %v", tests, err)
		}
		r, err := b.Run(t.Context(), 2)
		if err != nil || r.Tests == nil || *r.Tests != (agent.TestCounts{Passed: 1, Failed: 1, Skipped: 1, Flaky: 1}) {
			t.Errorf("%+v %v", r.Tests, err)
		}
	})
}
