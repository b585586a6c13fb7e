package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestA95SnapshotIsWholeWhileItIsWrittenTo(t *testing.T) {
	d := disks(t)
	make1(t, d, "one", 64<<20)
	if err := os.WriteFile(filepath.Join(d.Data("one"), "kept"), []byte(strings.Repeat("kept ", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { // someone who writes all the time
		for n := 0; ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := os.WriteFile(filepath.Join(d.Data("one"), fmt.Sprint("busy-", n%50)), make([]byte, 8<<10), 0o600); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := os.MkdirAll(d.mountPoint("two"), 0o700); err != nil {
		t.Fatal(err)
	}
	paused, err := d.Snapshot(t.Context(), "one", d.image("two"))
	if err != nil {
		t.Fatal(err)
	}
	if paused <= 0 || paused > longestPause {
		t.Errorf("writes waited %s", paused)
	}
	// It goes on afterwards.
	if err := os.WriteFile(filepath.Join(d.Data("one"), "after"), []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("whoever writes: %v", err)
	}
	var copied, original unix.Stat_t
	if err := unix.Stat(d.image("two"), &copied); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(d.image("one"), &original); err != nil || copied.Size != original.Size || copied.Blocks > original.Blocks+1024 {
		t.Errorf("%d bytes in %d blocks, of %d in %d: %v", copied.Size, copied.Blocks, original.Size, original.Blocks, err)
	}
	if err := d.Mount(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(d.Data("two"), "kept")); err != nil || string(data) != strings.Repeat("kept ", 100_000) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := os.Stat(filepath.Join(d.Data("two"), "after")); err == nil {
		t.Error("it holds what was written afterwards")
	}
	if _, err := d.Snapshot(t.Context(), "one", d.image("two")); err == nil {
		t.Error("a file that is there was overwritten")
	}
}

func TestThaw(t *testing.T) {
	d := disks(t)
	make1(t, d, "one", 32<<20)
	if err := d.Thaw("one"); err != nil {
		t.Errorf("one that is not frozen: %v", err)
	}
	point, err := os.Open(d.mountPoint("one"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = point.Close() }() // only a handle
	if err := unix.IoctlSetInt(int(point.Fd()), ioctlFreeze, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Thaw("one"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Data("one"), "x"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if err := d.Thaw("absent"); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}
