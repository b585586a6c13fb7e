package builder

import (
	"fmt"
	"os"
	"syscall"
)

// insideName is this program's name when it is the first process of the
// daemon's namespaces, before it becomes the daemon.
const insideName = "hks-images-inside"

// Inside turns this process into the daemon when it was started to be it, and
// returns otherwise. A main calls it first.
func Inside() {
	if os.Args[0] != insideName {
		return
	}
	fmt.Fprintln(os.Stderr, "starting buildkitd:", become(os.Args[1:]))
	os.Exit(1)
}

func become(argv []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return fmt.Errorf("executing %s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}
