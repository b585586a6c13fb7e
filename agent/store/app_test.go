package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func openAppStore(t *testing.T) *Store {
	t.Helper()
	s, err := New(Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newRelease(image string, env map[string]string) AppRelease {
	return AppRelease{Release: agent.Release{
		App: "web", Environment: agent.Staging, Kind: "deploy", By: "owner",
		Spec: agent.Spec{Components: []agent.Component{{Name: agent.DefaultComponent, Image: image, Port: 8080}}, Env: env},
	}}
}

func addRelease(t *testing.T, s *Store, r AppRelease, replicas map[string]agent.Scale) AppRelease {
	t.Helper()
	added, _, err := s.AddRelease(t.Context(), r, replicas)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func finishRelease(t *testing.T, s *Store, number int, failure *agent.Failure) {
	t.Helper()
	if ok, err := s.FinishRelease(t.Context(), "web", agent.Staging, number, failure); err != nil || !ok {
		t.Fatalf("finishing release %d: %v, %v", number, ok, err)
	}
}

func TestA18ReleaseComesBackWithItsEnvironment(t *testing.T) {
	s := openAppStore(t)
	env := map[string]string{"KEY": "canary-value", "EMPTY": ""}
	added := addRelease(t, s, newRelease("web:1", env), nil)
	if added.Number != 1 || added.Status != agent.ReleasePending || added.Spec.Env["KEY"] != agent.HiddenValue {
		t.Errorf("accepted %+v", added)
	}
	if err := s.PinImage(t.Context(), "web", agent.Staging, 1, "app", Image{Pull: "registry.hks.internal/web@sha256:aa", Digest: "sha256:aa"}); err != nil {
		t.Fatal(err)
	}
	open, ok, err := s.OpenRelease(t.Context(), "web", agent.Staging, 1)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if open.Spec.Env["KEY"] != "canary-value" || len(open.Spec.Env) != 2 {
		t.Errorf("environment came back as %v", open.Spec.Env)
	}
	if open.Images["app"] != (Image{Pull: "registry.hks.internal/web@sha256:aa", Digest: "sha256:aa"}) || open.Digests["app"] != "sha256:aa" {
		t.Errorf("image came back as %v, %v", open.Images, open.Digests)
	}
	shown, _, err := s.Release(t.Context(), "web", agent.Staging, 1)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Spec.Env["KEY"] != agent.HiddenValue || shown.Spec.Env["EMPTY"] != agent.HiddenValue {
		t.Errorf("shown environment is %v", shown.Spec.Env)
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(s.cfg.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("canary-value")) {
			t.Errorf("the value is readable in hks.db%s", suffix)
		}
	}
}

func TestNewerReleaseCancelsUnfinished(t *testing.T) {
	s := openAppStore(t)
	addRelease(t, s, newRelease("web:1", nil), nil)
	_, cancelled, err := s.AddRelease(t.Context(), newRelease("web:2", nil), nil)
	if err != nil || len(cancelled) != 1 || cancelled[0] != 1 {
		t.Fatalf("cancelled %v, %v", cancelled, err)
	}
	if ok, err := s.FinishRelease(t.Context(), "web", agent.Staging, 1, nil); ok || err != nil {
		t.Errorf("a cancelled release was finished: %v, %v", ok, err)
	}
	finishRelease(t, s, 2, nil)
	state, _, err := s.App(t.Context(), "web", agent.Staging)
	if err != nil || state.Serving != 2 || state.Current.Number != 2 || state.Newest.Number != 2 {
		t.Errorf("state %+v, %v", state, err)
	}
}

func TestA13FailedReleaseLeavesTheServingOne(t *testing.T) {
	s := openAppStore(t)
	addRelease(t, s, newRelease("web:1", nil), nil)
	finishRelease(t, s, 1, nil)
	addRelease(t, s, newRelease("web:2", nil), nil)
	code := 3
	finishRelease(t, s, 2, &agent.Failure{Code: agent.CodeRollout, Message: "it crashed", ExitCode: &code, Logs: []string{"a", "b"}})

	states, err := s.Apps(t.Context())
	if err != nil || len(states) != 1 {
		t.Fatalf("%d apps, %v", len(states), err)
	}
	state := states[0]
	if state.Serving != 1 || state.Current.Spec.Main().Image != "web:1" || state.Newest.Number != 2 || state.Newest.Failure.Message != "it crashed" {
		t.Errorf("state %+v", state)
	}
	if state.Newest.Failure.Logs != nil {
		t.Error("the list carries log lines")
	}
	r, _, err := s.Release(t.Context(), "web", agent.Staging, 2)
	if err != nil || len(r.Failure.Logs) != 2 || *r.Failure.ExitCode != 3 || r.FinishedAt.IsZero() {
		t.Errorf("release %+v, %v", r, err)
	}
}

func TestOldReleasesGoButNeverTheServingOne(t *testing.T) {
	s := openAppStore(t)
	addRelease(t, s, newRelease("web:1", nil), nil)
	finishRelease(t, s, 1, nil)
	for n := 2; n <= KeptReleases+5; n++ {
		addRelease(t, s, newRelease("web:x", nil), nil)
		finishRelease(t, s, n, &agent.Failure{Code: agent.CodeRollout, Message: "no"})
	}
	releases, err := s.Releases(t.Context(), "web", agent.Staging)
	if err != nil {
		t.Fatal(err)
	}
	if len(releases) != KeptReleases+1 || releases[0].Number != KeptReleases+5 || releases[len(releases)-1].Number != 1 {
		t.Errorf("%d releases kept, from %d to %d", len(releases), releases[0].Number, releases[len(releases)-1].Number)
	}
}

func TestA19DesiredState(t *testing.T) {
	s := openAppStore(t)
	addRelease(t, s, newRelease("web:1", nil), map[string]agent.Scale{"app": agent.Fixed(3)})
	if cancelled, err := s.StopApp(t.Context(), "web", agent.Staging); err != nil || len(cancelled) != 1 {
		t.Fatalf("stop cancelled %v, %v", cancelled, err)
	}
	expect := func(desired string, replicas int) {
		t.Helper()
		state, ok, err := s.App(t.Context(), "web", agent.Staging)
		if err != nil || !ok || state.Desired != desired || state.Replicas("app") != agent.Fixed(replicas) {
			t.Fatalf("want %s with %d: got %+v, %v, %v", desired, replicas, state.App, ok, err)
		}
	}
	expect(DesiredStopped, 3)
	if err := s.StartApp(t.Context(), "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	if err := s.ScaleApp(t.Context(), "web", agent.Staging, map[string]agent.Scale{"app": agent.Fixed(2)}); err != nil {
		t.Fatal(err)
	}
	if err := s.RestartApp(t.Context(), "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	expect(DesiredRunning, 2)
	if _, err := s.DeleteApp(t.Context(), "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	expect(DesiredDeleted, 2)
	for what, err := range map[string]error{
		"start": s.StartApp(t.Context(), "web", agent.Staging),
		"scale": s.ScaleApp(t.Context(), "web", agent.Staging, map[string]agent.Scale{"app": agent.Fixed(4)}),
		"deploy": func() error {
			_, _, err := s.AddRelease(t.Context(), newRelease("web:2", nil), nil)
			return err
		}(),
		"other": s.StartApp(t.Context(), "web", agent.Production),
	} {
		if !errors.Is(err, ErrNoApp) {
			t.Errorf("%s while deleting: %v", what, err)
		}
	}
	if err := s.ForgetApp(t.Context(), "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	if some, err := s.HasApps(t.Context()); err != nil || some {
		t.Errorf("apps left: %v, %v", some, err)
	}
	if again := addRelease(t, s, newRelease("web:1", nil), nil); again.Number != 1 {
		t.Errorf("a new app begins with release %d", again.Number)
	}
}

func TestListingTwoHundredAppsIsQuick(t *testing.T) {
	s := openAppStore(t)
	for i := range 200 {
		r := newRelease("web:1", map[string]string{"A": "b"})
		r.App = "app" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		if _, _, err := s.AddRelease(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	states, err := s.Apps(t.Context())
	if err != nil || len(states) != 200 {
		t.Fatalf("%d apps, %v", len(states), err)
	}
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Errorf("listing 200 apps took %s", took)
	}
}
