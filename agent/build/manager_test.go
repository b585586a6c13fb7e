package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const page = "index.html"

// three components: two built, one given.
const shop = `app: shop
components:
  api:
    build: ./api
    port: 8080
    route: /api
    replicas: 2
  web:
    build: {folder: ./web, args: {COLOR: red}}
    port: 8080
    test: {target: checks}
  cache:
    image: valkey:8
    kind: worker
`

var shopFiles = []string{"hks.yaml", shop, "api/Dockerfile", "FROM scratch\n", "web/Dockerfile", "FROM scratch AS checks\nFROM scratch\n"}

func TestABuildMakesOneReleaseOfDigests(t *testing.T) {
	b := newBench(t)
	b.builder.letGo()
	accepted := b.submit("shop", agent.BuildRequest{Test: true, Fresh: true, Env: map[string]string{"KEY": "canary"}, Replicas: map[string]agent.Scale{"web": agent.Fixed(4)}}, shopFiles...)
	if accepted.ID != 1 || accepted.Status != agent.RunPending || accepted.By != "owner" {
		t.Errorf("accepted %+v", accepted)
	}
	build, log := b.end(1)
	want := []agent.BuildComponent{
		{Name: "api", From: "api/Dockerfile", Image: "registry.hks.internal/shop/api:build-1@sha256:of-shop/api:build-1", Digest: "sha256:of-shop/api:build-1"},
		{Name: "cache", From: "image", Image: "valkey:8"},
		{Name: "web", From: "web/Dockerfile", Image: "registry.hks.internal/shop/web:build-1@sha256:of-shop/web:build-1", Digest: "sha256:of-shop/web:build-1", Tested: true},
	}
	if build.Status != agent.RunSucceeded || build.Release != 1 || !slices.Equal(build.Components, want) {
		t.Errorf("%+v", build)
	}

	releases := b.deployer.done()
	if len(releases) != 1 {
		t.Fatalf("%d releases", len(releases))
	}
	r := releases[0]
	if r.app != "shop" || r.env != agent.Staging || r.by != "owner" || r.Env["KEY"] != "canary" || len(r.Change) != 0 || len(r.Components) != 3 {
		t.Errorf("released %+v", r)
	}
	for i, c := range r.Components {
		if c.Name != want[i].Name || c.Image != want[i].Image {
			t.Errorf("component %d of the release: %+v", i, c)
		}
	}
	if r.Replicas["api"] != agent.Fixed(2) || r.Replicas["web"] != agent.Fixed(4) || len(r.Replicas) != 2 {
		t.Errorf("replicas %v", r.Replicas)
	}

	jobs := b.builder.done()
	if len(jobs) != 3 || jobs[1].Target != "checks" || jobs[1].Push != "" || jobs[2].Target != "" || jobs[2].Push != "shop/web:build-1" {
		t.Fatalf("jobs %+v", jobs)
	}
	if j := jobs[2]; !j.Fresh || j.Args["COLOR"] != "red" || j.Key != "shop/web" || j.Labels["hks.dev/build"] != "1" || j.File != "Dockerfile" || !slices.Contains(j.Carried, "registry.hks.internal/hks/node:24") {
		t.Errorf("job %+v", j)
	}
	if says := texts(log); !slices.Contains(says, "running its tests") || !slices.Contains(says, "release 1 is on its way") || says[len(says)-1] != "the build has succeeded" {
		t.Errorf("log %q", says)
	}
	for _, line := range log {
		if strings.Contains(line.Text, "canary") {
			t.Errorf("a value in the log: %+v", line)
		}
		if line.Kind == "done" && (line.Component == "" || line.Text == "" || line.Step == "") {
			t.Errorf("a step without its component or time: %+v", line)
		}
	}

	b.stop()
	if b.has(1, sourceFolder) || !b.has(1, logFile) {
		t.Error("at the end the source goes, the log stays")
	}
	var statuses []agent.RunStatus
	for _, shown := range b.shown {
		statuses = append(statuses, shown.Status)
	}
	if want := []agent.RunStatus{agent.RunPending, agent.RunRunning, agent.RunSucceeded}; !slices.Equal(slices.Compact(statuses), want) {
		t.Errorf("published %v", statuses)
	}
	if len(b.told) != 2 || b.told[1].Message != "build 1 has succeeded" || b.told[1].Subject != "shop/staging" || b.told[1].By != "owner" {
		t.Errorf("told %+v", b.told)
	}
}

func TestABuildThatFailsReleasesNothing(t *testing.T) {
	broken := &agent.Error{Code: agent.CodeBuildFailed, Message: "npm ci: exit code 1", Fix: "see the log"}
	tests := map[string]struct {
		files   []string
		prepare func(*bench)
		code    agent.Code
		says    string
		made    int // components that were done before
	}{
		"the second component": {prepare: func(b *bench) { b.builder.fail["shop/web"] = broken }, code: agent.CodeBuildFailed, says: "web: npm ci: exit code 1", made: 2},
		"a fault of ours":      {prepare: func(b *bench) { b.builder.fail["shop/api"] = errors.New("a secret detail") }, code: agent.CodeInternal, says: "hks met a fault of its own"},
		"the release": {prepare: func(b *bench) {
			b.deployer.fail = agent.Errorf(agent.CodeWorkspaceMissing, "make one", "there is no workspace")
		}, code: agent.CodeWorkspaceMissing, says: "there is no workspace", made: 3},
		"a link that leads out": {files: []string{"hks.yaml", shop, "api/Dockerfile", "FROM scratch\n", "api/secret", "-> /etc/passwd", "web/Dockerfile", "FROM scratch\n"},
			code: agent.CodeInvalid, says: `api: the symbolic link "secret" leads out`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.builder.letGo()
			if test.prepare != nil {
				test.prepare(b)
			}
			if test.files == nil {
				test.files = shopFiles
			}
			b.submit("shop", agent.BuildRequest{}, test.files...)
			build, log := b.end(1)
			if build.Status != agent.RunFailed || build.Release != 0 || build.Failure == nil || build.Failure.Code != test.code || !strings.Contains(build.Failure.Message, test.says) || build.Failure.Fix == "" {
				t.Errorf("%+v of %+v", build.Failure, build)
			}
			if len(build.Components) != test.made {
				t.Errorf("%d components were made, want %d", len(build.Components), test.made)
			}
			if releases := b.deployer.done(); len(releases) != 0 {
				t.Errorf("released %+v", releases)
			}
			if last := log[len(log)-1]; last.Text != build.Failure.Message {
				t.Errorf("the log ends with %+v", last)
			}
			b.stop()
			if b.has(1, sourceFolder) {
				t.Error("the source stays")
			}
		})
	}
}

func TestSubmitRefusesBeforeAnythingIsKept(t *testing.T) {
	b := newBench(t)
	tests := map[string]struct {
		app   string
		files []string
		code  agent.Code
	}{
		"name":            {app: "My Shop", files: shopFiles, code: agent.CodeInvalid},
		"wrong hks.yaml":  {app: "shop", files: []string{"hks.yaml", "components: 3\n"}, code: agent.CodeInvalid},
		"nothing to find": {app: "shop", files: []string{"README", "x"}, code: agent.CodeNotFound},
		"empty":           {app: "shop", code: agent.CodeInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := b.trySubmit(test.app, agent.BuildRequest{}, test.files...); agent.CodeOf(err) != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	builds, err := b.m.List(t.Context(), "", "")
	if entries, failed := os.ReadDir(b.dir); len(builds) != 0 || len(entries) != 0 || err != nil || failed != nil {
		t.Errorf("kept %+v and %v, %v, %v", builds, entries, err, failed)
	}
}

func TestCancelWhileAtWorkAndWhileWaiting(t *testing.T) {
	b := newBench(t)
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	<-b.builder.begun
	b.submit("shop", agent.BuildRequest{}, page, "<h1>") // waits for the first
	if !b.m.Building() {
		t.Error("nothing seems to be built")
	}
	for _, id := range []int64{2, 1} {
		began := time.Now()
		build, err := b.m.Cancel(t.Context(), id, "owner")
		if err != nil || build.Status != agent.RunCancelled || b.has(id, sourceFolder) {
			t.Errorf("build %d: %+v, %v", id, build, err)
		}
		got, log := b.end(id)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		if says := texts(log); got.Status != agent.RunCancelled || !slices.Contains(says, "cancelled by owner") || says[len(says)-1] != "the build was cancelled" {
			t.Errorf("%+v with %q", got, says)
		}
		if _, err := b.m.Cancel(t.Context(), id, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("cancelled twice: %v", err)
		}
	}
	if _, err := b.m.Cancel(t.Context(), 3, "owner"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("no such build: %v", err)
	}
	b.builder.letGo()
	b.submit("shop", agent.BuildRequest{}, page, "<h1>") // goes through
	if build, _ := b.end(3); build.Status != agent.RunSucceeded {
		t.Errorf("the one after them: %+v", build)
	}
	b.stop()
	if jobs := b.builder.done(); len(jobs) != 2 {
		t.Errorf("jobs %+v", jobs)
	}
	if b.m.Building() {
		t.Error("something is still built")
	}
}

func TestBuildsOfOneAppComeOneAfterTheOther(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	}
	b.submit("blog", agent.BuildRequest{}, page, "<h1>")
	first, second := <-b.builder.begun, <-b.builder.begun // two at a time, of two apps
	if keys := []string{first.Key, second.Key}; !slices.Contains(keys, "shop/app") || !slices.Contains(keys, "blog/app") {
		t.Errorf("at work: %q", keys)
	}
	b.builder.letGo()
	b.end(3)
	b.end(4)
	var of []string
	for _, job := range b.builder.done() {
		if job.Key == "shop/app" {
			of = append(of, job.Push)
		}
	}
	if want := []string{"shop/app:build-1", "shop/app:build-2", "shop/app:build-3"}; !slices.Equal(of, want) {
		t.Errorf("built in the order %q", of)
	}
}

func TestAFewBuildsAtATimeAndABoundedQueue(t *testing.T) {
	b := newBench(t)
	for i := range mostQueued {
		b.submit("app"+strconv.Itoa(i), agent.BuildRequest{}, page, "<h1>")
	}
	for range atATime {
		<-b.builder.begun
	}
	_, err := b.trySubmit("one-more", agent.BuildRequest{}, page, "<h1>")
	if agent.CodeOf(err) != agent.CodeTooMany {
		t.Errorf("one more: %v", err)
	}
	if jobs := b.builder.done(); len(jobs) != atATime {
		t.Errorf("%d are at work", len(jobs))
	}
	if _, err := b.m.Cancel(t.Context(), mostQueued, "owner"); err != nil {
		t.Fatal(err)
	}
	b.submit("one-more", agent.BuildRequest{}, page, "<h1>")
	b.builder.letGo()
	if build, _ := b.end(mostQueued + 1); build.Status != agent.RunSucceeded {
		t.Errorf("%+v", build)
	}
}

func TestABuildGoesOnAfterARestart(t *testing.T) {
	b := newBench(t)
	b.submit("shop", agent.BuildRequest{Env: map[string]string{"KEY": "canary"}}, shopFiles...)
	b.submit("blog", agent.BuildRequest{}, page, "<h1>")
	<-b.builder.begun
	<-b.builder.begun
	b.submit("blog", agent.BuildRequest{}, page, "<h1>") // not begun
	b.stop()
	for id := range int64(3) {
		if build, err := b.m.Get(t.Context(), id+1); err != nil || build.Status.Done() || !b.has(id+1, sourceFolder) {
			t.Errorf("build %d after the stop: %+v, %v", id+1, build, err)
		}
	}
	if len(b.deployer.done()) != 0 {
		t.Error("something was released")
	}
	// What a crash leaves: a line that is half there, an upload, an old source.
	log, err := os.OpenFile(filepath.Join(b.m.folder(1), logFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString(`{"kind":"log","te`); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{incomingPrefix + "1/source", "99/source", "other"} {
		if err := os.MkdirAll(filepath.Join(b.dir, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}

	b.builder.letGo()
	b.start()
	for id := range int64(3) {
		build, log := b.end(id + 1)
		if says := texts(log); build.Status != agent.RunSucceeded || !slices.Contains(says, "the agent was restarted; the build goes on") {
			t.Errorf("%+v with %q", build, says)
		}
	}
	for _, left := range []string{incomingPrefix + "1", "99/source"} {
		if _, err := os.Stat(filepath.Join(b.dir, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s stays: %v", left, err)
		}
	}
	if _, err := os.Stat(filepath.Join(b.dir, "other")); err != nil {
		t.Errorf("what is not ours is gone: %v", err)
	}
	releases := b.deployer.done()
	if len(releases) != 3 || !slices.ContainsFunc(releases, func(d deployed) bool { return d.app == "shop" && d.Env["KEY"] == "canary" }) {
		t.Errorf("released %+v", releases)
	}
	if err := b.m.Start(t.Context()); err != nil {
		t.Errorf("started twice: %v", err)
	}
}

// A build that takes the agent down with it is begun three times; stops in
// good order don't count.
func TestABuildThatEndsTheAgentIsNotBegunForEver(t *testing.T) {
	b := newBench(t)
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	for _, crash := range []bool{false, true, false, true, false, true} {
		<-b.builder.begun
		b.crashes = crash
		b.stop()
		b.start()
	}
	build, _ := b.end(1)
	if build.Status != agent.RunFailed || build.Failure == nil || build.Failure.Code != agent.CodeBuildFailed || build.Failure.Fix == "" ||
		!strings.Contains(build.Failure.Message, "the agent ended 3 times while the build was at work") {
		t.Errorf("%+v, %+v", build, build.Failure)
	}
	if jobs := b.builder.done(); len(jobs) != 6 {
		t.Errorf("it was begun %d times", len(jobs))
	}
	if b.has(1, sourceFolder) {
		t.Error("its source stays")
	}
}

func TestStopEndsInTimeOrSaysSo(t *testing.T) {
	b := newBench(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b.m.ended.Add(1)
	if err := b.m.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	b.m.ended.Done()
	if err := (&Manager{}).Stop(t.Context()); err != nil {
		t.Errorf("never started: %v", err)
	}
}

func TestABuildHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		began := time.Now()
		b.submit("shop", agent.BuildRequest{}, page, "<h1>")
		build, _ := b.end(1) // the time passes by itself
		if build.Status != agent.RunFailed || build.Failure == nil || build.Failure.Code != agent.CodeBuildFailed || !strings.Contains(build.Failure.Message, "within 30m") {
			t.Errorf("%+v of %+v", build.Failure, build)
		}
		if took := time.Since(began); took != deadline {
			t.Errorf("it took %s", took)
		}
	})
}

func TestOldBuildsGoWithTheirFolders(t *testing.T) {
	b := newBench(t)
	b.builder.letGo()
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	b.end(1)
	for range store.KeptBuilds - 1 { // those need no folders
		added, err := b.store.AddBuild(t.Context(), agent.Build{App: "blog", Environment: agent.Staging}, agent.BuildRequest{}, func(int64) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.store.FinishBuild(t.Context(), added.ID, agent.RunSucceeded, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !b.has(1, logFile) {
		t.Fatal("gone too early")
	}
	last := b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	b.end(last.ID)
	b.stop()
	if b.has(1, "") || !b.has(last.ID, logFile) {
		t.Error("the oldest folder stays, or the newest went")
	}
	if _, err := b.m.Get(t.Context(), 1); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("the oldest build: %v", err)
	}
}

func TestASourceTakesThePlaceOfOneThatWasNotKept(t *testing.T) {
	b := newBench(t)
	b.builder.letGo()
	if err := os.MkdirAll(filepath.Join(b.m.folder(1), sourceFolder, "left"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	if build, _ := b.end(1); build.Status != agent.RunSucceeded {
		t.Errorf("%+v", build)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a manager of nothing")
	}
}

// TestRefusedBeforeItIsBuilt: what would refuse the release refuses the build.
func TestRefusedBeforeItIsBuilt(t *testing.T) {
	b := newBench(t)
	b.start()
	b.deployer.refuse = agent.Errorf(agent.CodeInvalid, "set it", "the secret KEY is not set")
	if _, err := b.trySubmit("shop", agent.BuildRequest{}, page, "<h1>"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("got %v", err)
	}
	if builds, err := b.m.List(t.Context(), "", ""); err != nil || len(builds) != 0 {
		t.Errorf("%d builds were accepted (%v)", len(builds), err)
	}
}
