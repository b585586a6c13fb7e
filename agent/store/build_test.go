package store

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"hks.dev/hks/agent"
)

func nowhere(int64) error { return nil }

func addBuild(t *testing.T, s *Store, app string, env agent.Environment, request agent.BuildRequest) agent.Build {
	t.Helper()
	b, err := s.AddBuild(t.Context(), agent.Build{App: app, Environment: env, By: "owner"}, request, nowhere)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func finishBuild(t *testing.T, s *Store, id int64, status agent.RunStatus, release int, failure *agent.Failure) []int64 {
	t.Helper()
	finished, gone, err := s.FinishBuild(t.Context(), id, status, release, failure)
	if err != nil || !finished {
		t.Fatalf("finishing build %d: %v, %v", id, finished, err)
	}
	return gone
}

func ids(builds []agent.Build) []int64 {
	var ids []int64
	for _, b := range builds {
		ids = append(ids, b.ID)
	}
	return ids
}

func TestABuildFromItsAcceptanceToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hks.db")
	s := openAt(t, path, nil)
	request := agent.BuildRequest{Test: true, Env: map[string]string{"KEY": "canary-value"}, Replicas: map[string]agent.Scale{"api": agent.Fixed(2)}}
	added := addBuild(t, s, "shop", agent.Production, request)
	if added.ID != 1 || added.Status != agent.RunPending || added.CreatedAt.IsZero() {
		t.Errorf("accepted %+v", added)
	}
	var sealed []byte
	if err := s.db.QueryRowContext(t.Context(), `SELECT request FROM build WHERE id = 1`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if len(sealed) == 0 || bytes.Contains(sealed, []byte("canary")) {
		t.Errorf("the request is kept as %q", sealed)
	}
	got, err := s.BuildRequest(t.Context(), 1)
	if err != nil || !got.Test || got.Env["KEY"] != "canary-value" || got.Replicas["api"] != agent.Fixed(2) {
		t.Errorf("the request comes back as %+v, %v", got, err)
	}

	if attempt, err := s.StartBuild(t.Context(), 1); err != nil || attempt == 0 {
		t.Errorf("starting: %v, %v", attempt, err)
	}
	if attempt, err := s.StartBuild(t.Context(), 1); err != nil || attempt == 0 {
		t.Errorf("starting again, as after a restart: %v, %v", attempt, err)
	}
	made := []agent.BuildComponent{{Name: "api", From: "go", Image: "registry.hks.internal/shop/api:build-1@sha256:aa", Digest: "sha256:aa", Tested: true}}
	if err := s.UpdateBuild(t.Context(), 1, made); err != nil {
		t.Fatal(err)
	}
	finishBuild(t, s, 1, agent.RunSucceeded, 7, nil)

	b, ok, err := s.Build(t.Context(), 1)
	if err != nil || !ok || b.Status != agent.RunSucceeded || b.Release != 7 || b.Failure != nil || b.StartedAt.IsZero() || b.FinishedAt.IsZero() || !slices.Equal(b.Components, made) {
		t.Errorf("at the end: %+v, %v, %v", b, ok, err)
	}
	if _, err := s.BuildRequest(t.Context(), 1); err == nil {
		t.Error("values of the environment are kept after the end")
	}
	if attempt, err := s.StartBuild(t.Context(), 1); err != nil || attempt != 0 {
		t.Errorf("starting what has ended: %v, %v", attempt, err)
	}
	finished, gone, err := s.FinishBuild(t.Context(), 1, agent.RunCancelled, 0, nil)
	if err != nil || finished || gone != nil {
		t.Errorf("ending twice: %v, %v, %v", finished, gone, err)
	}
	if b, _, _ := s.Build(t.Context(), 1); b.Status != agent.RunSucceeded {
		t.Errorf("the second end counts: %+v", b)
	}
}

func TestABuildThatFailsSaysWhy(t *testing.T) {
	s := openAppStore(t)
	addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{})
	why := agent.Failure{Code: agent.CodeBuildFailed, Message: "api: npm ci: exit code 1", Fix: "see the log"}
	finishBuild(t, s, 1, agent.RunFailed, 0, &why)
	b, _, err := s.Build(t.Context(), 1)
	if err != nil || b.Failure == nil || b.Failure.Code != why.Code || b.Failure.Message != why.Message || b.Failure.Fix != why.Fix {
		t.Errorf("%+v, %v", b.Failure, err)
	}
	if _, ok, err := s.Build(t.Context(), 2); ok || err != nil {
		t.Errorf("no such build: %v, %v", ok, err)
	}
}

func TestABuildWhoseSourceHasNoPlaceIsNotKept(t *testing.T) {
	s := openAppStore(t)
	full := errors.New("no room")
	_, err := s.AddBuild(t.Context(), agent.Build{App: "shop", Environment: agent.Staging}, agent.BuildRequest{}, func(id int64) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if builds, err := s.Builds(t.Context(), "", ""); err != nil || len(builds) != 0 {
		t.Errorf("kept %+v, %v", builds, err)
	}
}

func TestBuildsAreListed(t *testing.T) {
	s := openAppStore(t)
	addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{})
	addBuild(t, s, "shop", agent.Production, agent.BuildRequest{})
	addBuild(t, s, "blog", agent.Staging, agent.BuildRequest{})
	finishBuild(t, s, 2, agent.RunCancelled, 0, nil)
	tests := map[string]struct {
		app  string
		env  agent.Environment
		want []int64
	}{
		"all":            {want: []int64{3, 2, 1}},
		"an app":         {app: "shop", want: []int64{2, 1}},
		"an environment": {env: agent.Staging, want: []int64{3, 1}},
		"both":           {app: "shop", env: agent.Production, want: []int64{2}},
		"none":           {app: "other"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			builds, err := s.Builds(t.Context(), test.app, test.env)
			if err != nil || !slices.Equal(ids(builds), test.want) {
				t.Errorf("got %v, %v, want %v", ids(builds), err, test.want)
			}
		})
	}
	unfinished, err := s.UnfinishedBuilds(t.Context())
	if err != nil || !slices.Equal(ids(unfinished), []int64{1, 3}) {
		t.Errorf("unfinished: %v, %v", ids(unfinished), err)
	}
}

func TestOldBuildsGoButThoseUnderWay(t *testing.T) {
	s := openAppStore(t)
	waits := addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{})
	var gone []int64
	for range KeptBuilds + 2 {
		b := addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{})
		gone = append(gone, finishBuild(t, s, b.ID, agent.RunSucceeded, 1, nil)...)
	}
	if !slices.Equal(gone, []int64{2, 3}) {
		t.Errorf("gone: %v", gone)
	}
	if _, ok, err := s.Build(t.Context(), waits.ID); err != nil || !ok {
		t.Errorf("the one that waits has gone: %v", err)
	}
	if gone := finishBuild(t, s, waits.ID, agent.RunCancelled, 0, nil); len(gone) != 0 {
		t.Errorf("gone before its end was told: %v", gone)
	}
	next := addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{})
	if gone := finishBuild(t, s, next.ID, agent.RunSucceeded, 1, nil); !slices.Equal(gone, []int64{waits.ID, 4}) {
		t.Errorf("gone with the next: %v", gone)
	}
	builds, err := s.Builds(t.Context(), "", "")
	if err != nil || len(builds) != KeptBuilds {
		t.Errorf("%d builds are kept, %v", len(builds), err)
	}
}

func TestARequestBelongsToItsBuild(t *testing.T) {
	s := openAppStore(t)
	addBuild(t, s, "shop", agent.Staging, agent.BuildRequest{Env: map[string]string{"KEY": "canary"}})
	addBuild(t, s, "blog", agent.Staging, agent.BuildRequest{})
	if _, err := s.db.ExecContext(t.Context(), `UPDATE build SET request = (SELECT request FROM build WHERE id = 1) WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	if got, err := s.BuildRequest(t.Context(), 2); err == nil {
		t.Errorf("a request moved to another build opens: %+v", got)
	}
}

func TestABuildCountsHowOftenItWasBegun(t *testing.T) {
	s := openAppStore(t)
	b, err := s.AddBuild(t.Context(), agent.Build{App: "shop", Environment: agent.Staging}, agent.BuildRequest{}, func(int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		pause bool
		want  int
	}{{false, 1}, {false, 2}, {true, 2}, {false, 3}, {true, 3}} {
		if step.pause { // the start before is taken back
			if err := s.PauseBuild(t.Context(), b.ID); err != nil {
				t.Fatal(err)
			}
		}
		if attempt, err := s.StartBuild(t.Context(), b.ID); err != nil || attempt != step.want {
			t.Errorf("attempt %d, want %d: %v", attempt, step.want, err)
		}
	}
}
