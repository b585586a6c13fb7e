// Command build makes hks's own images from Debian's packages, npm and the Go
// proxy, as the machine is set up to reach them. It needs root.
//
//	go run ./build --out FOLDER --cache FOLDER
//
// FOLDER of --out gets one archive an image, for `hks image load`. What was
// made once is kept in that of --cache, with the layouts that ./solve takes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"hks.dev/hks/packaging/images/internal/builder"
)

// limit is how long making all images may take.
const limit = 40 * time.Minute

func main() {
	builder.Inside()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var m maker
	out := flag.String("out", "", "folder that gets the archives")
	flag.StringVar(&m.cache, "cache", "", "folder that keeps what was made")
	flag.StringVar(&m.buildkitd, "buildkitd", "", "the build daemon; default: built from this module")
	flag.StringVar(&m.sources, "sources", "", "sources.list of Debian's release; default: the mirrors of this machine's apt")
	flag.Parse()
	if *out == "" || m.cache == "" {
		return errors.New("give --out FOLDER and --cache FOLDER")
	}
	if m.recipes, err = recipes("versions"); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(*out, 0o755), os.MkdirAll(m.cache, 0o755)); err != nil {
		return fmt.Errorf("making folders: %w", err)
	}
	unlock, err := lock(filepath.Join(m.cache, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.make(ctx); err != nil {
		return err
	}
	for _, img := range images {
		if err := m.archive(img, *out); err != nil {
			return err
		}
	}
	return nil
}

// lock keeps a second run out until the first has ended.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("waiting for another run: %w", err)
	}
	return func() { file.Close() }, nil
}
