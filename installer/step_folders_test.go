package installer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestA93FoldersOfTheKubeletGoWhenTheyAreEmpty(t *testing.T) {
	tests := map[string]struct {
		before, put string
		stays       []string // below usr/libexec
	}{
		"all are new":        {"usr", "", nil},
		"some were there":    {"usr/libexec/kubernetes", "", []string{"kubernetes"}},
		"someone put a file": {"usr/libexec", "usr/libexec/kubernetes/kubelet-plugins/mine", []string{"kubernetes"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			j, err := OpenJournal(filepath.Join(t.TempDir(), "journal"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			if err := os.MkdirAll(filepath.Join(root, tt.before), 0o755); err != nil {
				t.Fatal(err)
			}
			s := &foldersStep{root: root, journal: j}
			changes, err := s.check(t.Context())
			if err != nil || len(changes) == 0 {
				t.Fatalf("changes %v, %v", changes, err)
			}
			if err := os.MkdirAll(filepath.Join(root, kubeletPlugins), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.put != "" {
				write(t, filepath.Join(root, tt.put), "x")
			}
			for _, c := range slices.Backward(changes) {
				if err := s.undo(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := os.ReadDir(filepath.Join(root, "usr/libexec"))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			var left []string
			for _, entry := range entries {
				left = append(left, entry.Name())
			}
			if !slices.Equal(left, tt.stays) {
				t.Errorf("left %v, want %v", left, tt.stays)
			}
			if err := s.undo(t.Context(), Change{Target: filepath.Join(root, "etc")}); err == nil {
				t.Error("another folder was removed")
			}
		})
	}
}
