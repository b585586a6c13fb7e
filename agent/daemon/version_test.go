package daemon

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"hks.dev/hks/agent"
)

func TestAnotherVersionIsTold(t *testing.T) {
	var told []string
	file := filepath.Join(t.TempDir(), "state/version")
	for _, version := range []string{"v1", "v1", "v2", "v1"} {
		v := &versionTeller{file: file, version: version, record: func(_ context.Context, a agent.Activity) { told = append(told, a.Message) }}
		if err := v.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"version v2 begins; before it v1 ran", "version v1 begins; before it v2 ran"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
