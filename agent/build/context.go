package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"hks.dev/hks/agent"
)

// Limits bound what a build may be given.
type Limits struct {
	Bytes int64 // of all files
	Files int
}

// DefaultLimits are generous for source, and small enough for one machine.
var DefaultLimits = Limits{Bytes: 512 << 20, Files: 50_000}

const (
	ignoreFile   = ".dockerignore"
	maxIgnore    = 64 << 10 // bytes of .dockerignore
	maxIgnores   = 1000     // patterns in it
	largestShown = 5        // folders that an error names
)

// Context is what a checked folder holds for a build.
type Context struct {
	Ignore []string // the patterns that hold; those of the folder's own .dockerignore if it has one
	Own    bool     // they are the folder's own
	Files  int
	Bytes  int64
}

// CheckContext looks at everything in the folder that a build would be given:
// all but what its .dockerignore leaves out, or the patterns given where it has
// none. Its errors are agent.Errors: TOO_LARGE names the limit and the largest
// folders; INVALID names a symbolic link that leaves the folder, or a file that
// is no plain file.
func CheckContext(ctx context.Context, folder string, ignore []string, limits Limits) (Context, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return Context{}, fmt.Errorf("opening the folder: %w", err)
	}
	defer root.Close()
	c := Context{Ignore: ignore}
	if own, ok, err := readIgnore(root); err != nil {
		return Context{}, err
	} else if ok {
		c.Ignore, c.Own = own, true
	}
	matcher, err := patternmatcher.New(c.Ignore)
	if err != nil {
		return Context{}, &agent.Error{
			Code: agent.CodeInvalid, Message: ignoreFile + " has a pattern that is not valid: " + err.Error(), Fix: "correct it", Cause: err,
		}
	}
	w := walk{ctx: ctx, root: root, matcher: matcher, limits: limits, folders: map[string]int64{}}
	if err := fs.WalkDir(root.FS(), ".", w.visit); err != nil {
		return Context{}, err
	}
	if w.bytes > limits.Bytes || w.files > limits.Files {
		return Context{}, w.tooLarge()
	}
	c.Files, c.Bytes = w.files, w.bytes
	return c, nil
}

// readIgnore reads the folder's own patterns; false when it has none.
func readIgnore(root *os.Root) ([]string, bool, error) {
	file, err := root.Open(ignoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, agent.Errorf(agent.CodeInvalid, "make it a plain file of the folder", "%s can't be read: %w", ignoreFile, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false, agent.Errorf(agent.CodeInvalid, "make it one", "%s is no plain file", ignoreFile)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxIgnore+1))
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", ignoreFile, err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil || len(text) > maxIgnore || len(patterns) > maxIgnores {
		return nil, false, agent.Errorf(agent.CodeInvalid, "make it shorter",
			"%s can't be read: it has up to %d KB and %d patterns", ignoreFile, maxIgnore>>10, maxIgnores)
	}
	return patterns, true, nil
}

// walk adds up a folder.
type walk struct {
	ctx     context.Context //nolint:containedctx // lives as long as one walk
	root    *os.Root
	matcher *patternmatcher.PatternMatcher
	limits  Limits

	files   int
	bytes   int64
	folders map[string]int64 // bytes below the first two levels
}

func (w *walk) visit(name string, entry fs.DirEntry, err error) error {
	if err != nil {
		return fmt.Errorf("reading %q: %w", name, err)
	}
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("reading the folder: %w", err)
	}
	if name == "." {
		return nil
	}
	ignored, err := w.matcher.MatchesOrParentMatches(name)
	if err != nil {
		return fmt.Errorf("matching %q: %w", name, err)
	}
	if ignored {
		if entry.IsDir() && !w.matcher.Exclusions() {
			return fs.SkipDir
		}
		return nil
	}
	switch kind := entry.Type(); {
	case kind.IsDir():
		return nil
	case kind&fs.ModeSymlink != 0:
		if err := w.link(name); err != nil {
			return err
		}
	case !kind.IsRegular():
		return &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("%q is no file that can be built: it is a socket, a pipe or a device", name),
			Fix: "remove it, or leave it out in " + ignoreFile, Details: map[string]any{"path": name},
		}
	}
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("reading %q: %w", name, err)
	}
	w.files++
	w.bytes += info.Size()
	w.folders[top(name)] += info.Size()
	// Far over the limit the walk has enough to tell.
	if w.files > 10*w.limits.Files || w.bytes > 10*w.limits.Bytes {
		return fs.SkipAll
	}
	return nil
}

// link refuses a symbolic link that leaves the folder; one to nothing can do no harm.
func (w *walk) link(name string) error {
	_, err := w.root.Stat(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &agent.Error{
		Code: agent.CodeInvalid, Message: fmt.Sprintf("the symbolic link %q leads out of the folder that is built, or nowhere", name),
		Fix: "replace it by what it points to, or leave it out in " + ignoreFile, Details: map[string]any{"path": name}, Cause: err,
	}
}

// top is the folder that a file counts for: the first two of its path.
func top(name string) string {
	parts := strings.SplitN(path.Dir(name), "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func (w *walk) tooLarge() error {
	names := make([]string, 0, len(w.folders))
	for name := range w.folders {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if w.folders[a] != w.folders[b] {
			if w.folders[a] > w.folders[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var largest []string
	for _, name := range names[:min(largestShown, len(names))] {
		largest = append(largest, fmt.Sprintf("%q %s", name, megabytes(w.folders[name])))
	}
	return &agent.Error{
		Code: agent.CodeTooLarge,
		Message: fmt.Sprintf("the folder is too large to build: it has at least %d files with %s, the limit is %d files and %s; the largest folders are %s",
			w.files, megabytes(w.bytes), w.limits.Files, megabytes(w.limits.Bytes), strings.Join(largest, ", ")),
		Fix:     "leave out what the build does not need in " + ignoreFile,
		Details: map[string]any{"files": w.files, "bytes": w.bytes, "limitFiles": w.limits.Files, "limitBytes": w.limits.Bytes, "largest": largest},
	}
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }
