package installer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hks.dev/hks/agent/config"
)

// programs are what belongs to hks; k3s is apart, as it may come from elsewhere.
var programs = []string{"hks", "hks-agent", "hks-gateway", "hks-installer", "hks-buildkitd"}

// filesStep places programs in a folder of their version.
type filesStep struct {
	paths   config.Paths
	version string
	sources map[string]string // name to file; for check and apply only
	order   []string
	sealed  bool // the sources are a bundle's, which nobody writes to
}

func (s *filesStep) kind() string { return "file" }

func (s *filesStep) target(name string) string {
	return filepath.Join(s.paths.Versions(), s.version, name)
}

func (s *filesStep) check(context.Context) ([]Change, error) {
	var changes []Change
	for _, name := range s.order {
		want, err := hashFile(s.sources[name])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		have, err := hashFile(s.target(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the installed %s: %w", name, err)
		}
		if have != want {
			changes = append(changes, Change{Kind: s.kind(), Target: s.target(name), After: want})
		}
	}
	return changes, nil
}

// apply puts the file in place by rename: a program that runs keeps its old
// file. The same file of another version is linked, not copied, so that k3s
// is seen not to have changed.
func (s *filesStep) apply(_ context.Context, c Change) error {
	if err := os.MkdirAll(filepath.Dir(c.Target), 0o755); err != nil {
		return err
	}
	temp := c.Target + ".tmp"
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	name := filepath.Base(c.Target)
	others, err := filepath.Glob(filepath.Join(s.paths.Versions(), "*", name))
	if err != nil {
		return err
	}
	for _, other := range others {
		if hash, err := hashFile(other); err == nil && hash == c.After && os.Link(other, temp) == nil {
			return os.Rename(temp, c.Target)
		}
	}
	if s.sealed && os.Link(s.sources[name], temp) == nil { // else it lies on another disk
		return os.Rename(temp, c.Target)
	}
	if err := copyFile(s.sources[name], temp, c.After); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return os.Rename(temp, c.Target)
}

func (s *filesStep) undo(_ context.Context, c Change) error {
	if err := errors.Join(os.RemoveAll(c.Target+".tmp"), os.RemoveAll(c.Target)); err != nil {
		return err
	}
	return errors.Join(removeEmptyFolder(filepath.Dir(c.Target)), removeEmptyFolder(s.paths.Versions()))
}

// copyFile copies a program and checks that what was written is what was meant.
func copyFile(from, to, want string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(dst, sum), src)
	if err := errors.Join(err, dst.Chmod(0o755), dst.Sync(), dst.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s changed while it was copied", from)
	}
	return nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// removeEmptyFolder removes a folder that nothing is in.
func removeEmptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// linksStep points the commands on the path at the programs of a version.
type linksStep struct {
	paths   config.Paths
	version string
	names   []string // for check only
}

func (s *linksStep) kind() string { return "link" }

func (s *linksStep) check(context.Context) ([]Change, error) {
	var changes []Change
	for _, name := range s.names {
		link := s.paths.Bin(name)
		want := filepath.Join(s.paths.Versions(), s.version, name)
		have, err := os.Readlink(link)
		switch {
		case err == nil && have == want:
			continue
		case err == nil:
			changes = append(changes, Change{Kind: s.kind(), Target: link, Before: &have, After: want})
		case errors.Is(err, fs.ErrNotExist):
			changes = append(changes, Change{Kind: s.kind(), Target: link, After: want})
		default:
			return nil, fmt.Errorf("%s is not a link of hks: move it away and try again: %w", link, err)
		}
	}
	return changes, nil
}

func (s *linksStep) apply(_ context.Context, c Change) error { return relink(c.Target, c.After) }

// undo puts an earlier link back only when what it points at is still there.
// A link that someone else has changed stays.
func (s *linksStep) undo(_ context.Context, c Change) error {
	have, err := os.Readlink(c.Target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || have != c.After {
		return nil // not ours any more
	}
	if c.Before != nil && exists(*c.Before) {
		return relink(c.Target, *c.Before)
	}
	return os.Remove(c.Target)
}

// relink replaces a link in one go.
func relink(link, target string) error {
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	temp := link + ".hks.tmp"
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, link)
}
