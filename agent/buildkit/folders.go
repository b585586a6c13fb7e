package buildkit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tonistiigi/fsutil"

	"hks.dev/hks/agent"
)

// The names that BuildKit's Dockerfile frontend knows its folders by.
const (
	localContext    = "context"
	localDockerfile = "dockerfile"
)

// folders are what a build may read of this machine. The kernel keeps reads
// within them, whatever links there are.
type folders struct {
	context  *os.Root
	recipe   *os.Root
	filename string   // of the recipe in its folder
	made     string   // folder that was made for this build; "" for none
	mark     *os.File // holds a lock on made, which ends with this process
}

func openFolders(job Job) (*folders, error) {
	f := &folders{filename: cmp.Or(job.File, "Dockerfile")}
	err := f.open(job)
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folders) open(job Job) (err error) {
	if job.Dockerfile != nil || job.Context == "" {
		if err := f.write(job.Dockerfile, job.Ignore); err != nil {
			return fmt.Errorf("writing the build's recipe: %w", err)
		}
		if f.recipe, err = os.OpenRoot(filepath.Join(f.made, localDockerfile)); err != nil {
			return fmt.Errorf("opening the build's recipe: %w", err)
		}
	}
	source := cmp.Or(job.Context, filepath.Join(f.made, localContext))
	if f.context, err = os.OpenRoot(source); err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	if f.recipe != nil {
		f.filename = "Dockerfile"
		return nil
	}
	if !filepath.IsLocal(f.filename) {
		return agent.Errorf(agent.CodeInvalid, "name a file of the project", "the Dockerfile %q is not within the source", f.filename)
	}
	f.recipe, err = f.context.OpenRoot(".")
	if err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	return nil
}

// write makes a folder for a recipe that is no file of the source, and an
// empty one in place of a source.
func (f *folders) write(recipe []byte, ignore []string) (err error) {
	if f.made, err = os.MkdirTemp("", madePrefix); err != nil { // mode 0700
		return err
	}
	if f.mark, err = locked(f.made); err != nil {
		return err
	}
	dir := filepath.Join(f.made, localDockerfile)
	err = errors.Join(os.Mkdir(filepath.Join(f.made, localContext), 0o700), os.Mkdir(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), recipe, 0o600))
	if err == nil && len(ignore) > 0 {
		err = os.WriteFile(filepath.Join(dir, "Dockerfile.dockerignore"), []byte(strings.Join(ignore, "\n")+"\n"), 0o600)
	}
	return err
}

func (f *folders) mounts() map[string]fsutil.FS {
	return map[string]fsutil.FS{
		localContext:    fsutil.NewRootFS(fsutil.NewRoot(f.context)),
		localDockerfile: fsutil.NewRootFS(fsutil.NewRoot(f.recipe)),
	}
}

func (f *folders) close() {
	for _, root := range []*os.Root{f.context, f.recipe} {
		if root != nil {
			_ = root.Close() // only read
		}
	}
	if f.made != "" {
		_ = os.RemoveAll(f.made) // Sweep removes what stays
	}
	if f.mark != nil {
		_ = f.mark.Close() // only for its lock
	}
}
