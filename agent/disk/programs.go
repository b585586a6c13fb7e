package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// programLimit bounds one run of a program over a disk.
const programLimit = 5 * time.Minute

// format makes an empty filesystem. The size of blocks is given, since small
// filesystems would get small ones, and grow badly.
func format(ctx context.Context, image string) error {
	_, err := run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-i", "16384", "-I", "256", image)
	return err
}

// repair replays the journal of a filesystem that was not unmounted, and
// mends what that does not.
func repair(ctx context.Context, image string) error { return mend(ctx, "-p", image) }

// check looks through the whole of a filesystem, which a change of its size
// asks for.
func check(ctx context.Context, image string) error { return mend(ctx, "-f", "-p", image) }

// mended is the exit code of a check that found and mended something.
const mended = 1

func mend(ctx context.Context, args ...string) error {
	out, err := run(ctx, "e2fsck", args...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		if failed.ExitCode() == mended {
			return nil
		}
		return agent.Errorf(agent.CodeConflict, "repair it by hand with e2fsck, or restore a backup; the file is "+args[len(args)-1],
			"the filesystem of a volume is damaged and can't be repaired without loss: %s", out)
	}
	return err
}

func resizeIdle(ctx context.Context, image string) error {
	_, err := run(ctx, "resize2fs", image)
	return err
}

// resizeMounted grows a mounted filesystem to its device's size.
func resizeMounted(ctx context.Context, device string) error {
	out, err := run(ctx, "resize2fs", device)
	if err != nil && strings.Contains(out, "Permission denied to resize") {
		return ErrBusy
	}
	return err
}

// run runs a program of e2fsprogs and returns what it said, on one line.
func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	said := strings.Join(strings.Fields(out.String()), " ")
	if errors.Is(err, exec.ErrNotFound) {
		return said, agent.Errorf(agent.CodeConflict, "install the package e2fsprogs", "this machine has no %s, which volumes are made with", name)
	}
	if err != nil {
		return said, fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return said, nil
}
