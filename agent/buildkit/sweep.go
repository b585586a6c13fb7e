package buildkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// madePrefix begins the names of folders made for builds in the folder of
// temporary files.
const madePrefix = "hks-build-"

var madeName = regexp.MustCompile(`^` + madePrefix + `[0-9]+$`)

// Sweep removes the folders that were made for builds by agents which ended in
// the middle of them. One of a build that is under way, whoever's, stays.
func Sweep() error {
	temporary, err := os.OpenRoot(os.TempDir())
	if err != nil {
		return fmt.Errorf("looking for what builds left: %w", err)
	}
	defer func() { _ = temporary.Close() }() // nothing was written through it
	entries, err := fs.ReadDir(temporary.FS(), ".")
	if err != nil {
		return fmt.Errorf("looking for what builds left: %w", err)
	}
	var failed []error
	for _, entry := range entries {
		if !entry.IsDir() || !madeName.MatchString(entry.Name()) || !own(entry) {
			continue
		}
		mark, err := locked(filepath.Join(os.TempDir(), entry.Name()))
		if err != nil {
			continue // its build is under way, or it is gone already
		}
		failed = append(failed, temporary.RemoveAll(entry.Name()), mark.Close())
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("removing what builds left: %w", err)
	}
	return nil
}

// own tells whether a folder is as this user makes them: closed to others.
func own(entry fs.DirEntry) bool {
	info, err := entry.Info()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm() == 0o700
}

// locked opens a folder and locks it, unless somebody else has. The lock ends
// when the file is closed or the process dies.
func locked(folder string) (*os.File, error) {
	f, err := os.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("locking %s: %w", folder, err)
	}
	return f, nil
}
