package store

import (
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestWorkspace(t *testing.T) {
	s := openAppStore(t)
	if _, ok, err := s.Workspace(t.Context()); ok || err != nil {
		t.Fatalf("a fresh store has a workspace: %v, %v", ok, err)
	}
	want := Workspace{
		Name: "dev-workspace", Status: agent.WorkspaceCreating, Step: "namespace", Leftover: "dev-workspace", PodLevel: "baseline",
		Plan: "hobby", By: "owner", Deadline: time.UnixMilli(5000).UTC(), CreatedAt: time.UnixMilli(4000).UTC(),
	}
	for range 2 {
		if err := s.PutWorkspace(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Workspace(t.Context())
		if err != nil || !ok || got != want {
			t.Fatalf("got %+v, %v, %v; want %+v", got, ok, err, want)
		}
		want.Status, want.Step, want.Leftover, want.Reason, want.Fix, want.RenameTo = agent.WorkspaceFailed, "", "", "why", "how", "other"
	}
}
