package installer

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// kubeletPlugins is made by the kubelet, though nothing is ever in it.
const kubeletPlugins = "usr/libexec/kubernetes/kubelet-plugins/volume/exec"

// foldersStep remembers which folders were not there before the kubelet made
// them.
type foldersStep struct {
	root    string // of the machine
	journal *Journal
}

func (s *foldersStep) kind() string { return "folder" }

// check lists from the outside in, so that they are undone from the inside out.
func (s *foldersStep) check(context.Context) ([]Change, error) {
	var changes []Change
	for dir := kubeletPlugins; dir != "."; dir = filepath.Dir(dir) {
		path := filepath.Join(s.root, dir)
		if exists(path) || s.journal.Has(s.kind(), path) {
			break
		}
		changes = append(changes, Change{Kind: s.kind(), Target: path})
	}
	slices.Reverse(changes)
	return changes, nil
}

// apply does nothing: the kubelet makes them.
func (s *foldersStep) apply(context.Context, Change) error { return nil }

// undo removes the folder unless something was put in it.
func (s *foldersStep) undo(_ context.Context, c Change) error {
	if name, err := filepath.Rel(s.root, c.Target); err != nil || !strings.HasPrefix(kubeletPlugins+"/", name+"/") {
		return fmt.Errorf("the journal names the folder %q", c.Target)
	}
	return removeEmptyFolder(c.Target)
}
