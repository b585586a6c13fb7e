package store

import (
	"slices"
	"testing"

	"hks.dev/hks/agent"
)

func TestImageUsesAreOfEveryKeptRelease(t *testing.T) {
	s := openAppStore(t)
	addRelease(t, s, newRelease("web:1", nil), nil)
	if err := s.PinImage(t.Context(), "web", agent.Staging, 1, agent.DefaultComponent, Image{Pull: "registry.hks.internal/web@sha256:aa", Digest: "sha256:aa"}); err != nil {
		t.Fatal(err)
	}
	finishRelease(t, s, 1, nil)
	addRelease(t, s, newRelease("web:2", nil), nil)
	finishRelease(t, s, 2, &agent.Failure{Code: agent.CodeRollout, Message: "never ready"})
	addRelease(t, s, newRelease("web:3", nil), nil) // not resolved yet
	uses, err := s.ImageUses(t.Context())
	want := []agent.ImageUse{
		{App: "web", Environment: agent.Staging, Release: 3, Image: "web:3"},
		{App: "web", Environment: agent.Staging, Release: 2, Image: "web:2"},
		{App: "web", Environment: agent.Staging, Release: 1, Image: "registry.hks.internal/web@sha256:aa"},
	}
	if err != nil || !slices.Equal(uses, want) {
		t.Errorf("got %+v, %v", uses, err)
	}
	if err := s.ForgetApp(t.Context(), "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	if uses, err := s.ImageUses(t.Context()); err != nil || len(uses) != 0 {
		t.Errorf("after the app has gone: %+v, %v", uses, err)
	}
}
