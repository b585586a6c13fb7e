package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disks are real ones, below a folder of the test's. Where the machine has no
// loop devices for us, the test says so and is skipped.
func disks(t *testing.T) *Disks {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for mounts")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
	d, err := New(Config{Dir: filepath.Join(t.TempDir(), "volumes")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.UnmountAll(context.Background()); err != nil { // the test's own has ended
			t.Errorf("taking the disks away: %v", err)
		}
	})
	return d
}

func make1(t *testing.T, d *Disks, id string, size int64) {
	t.Helper()
	if err := d.Make(t.Context(), id, size); err != nil {
		t.Fatal(err)
	}
	if err := d.Mount(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// fill writes until nothing fits any more, and returns how much did.
func fill(t *testing.T, path string) (written int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was written to the end
	chunk := make([]byte, 1<<20)
	for {
		n, err := file.Write(chunk)
		written += int64(n)
		if errors.Is(err, unix.ENOSPC) {
			return written
		}
		if err != nil || written > 4<<30 {
			t.Fatalf("after %d bytes: %v", written, err)
		}
	}
}

func TestTheSizeIsAWall(t *testing.T) {
	d := disks(t)
	make1(t, d, "pvc-1", 32<<20)
	if written := fill(t, filepath.Join(d.Data("pvc-1"), "full")); written > 32<<20 || written < 16<<20 {
		t.Errorf("%d bytes fit into a disk of 32 MiB", written)
	}
	used, size, ok := d.Fill("pvc-1")
	if !ok || size > 32<<20 || used < size-1<<20 {
		t.Errorf("%d of %d are used (%v)", used, size, ok)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(d.folder("pvc-1")), "beside"), make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("beside it there is no room either: %v", err)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(d.mountPoint("pvc-1"), &stat); err != nil || stat.Flags&unix.ST_NOSUID == 0 || stat.Flags&unix.ST_NODEV == 0 {
		t.Errorf("mounted with %x, %v", stat.Flags, err)
	}
}

func TestMakeIsFinishedOnce(t *testing.T) {
	d := disks(t)
	// An attempt that was cut off in the middle.
	if err := errors.Join(os.MkdirAll(d.folder("pvc-1"), 0o700), os.WriteFile(d.image("pvc-1")+".new", []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	make1(t, d, "pvc-1", 16<<20)
	kept := filepath.Join(d.Data("pvc-1"), "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	make1(t, d, "pvc-1", 64<<20) // there already
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(d.folder("pvc-1"), "*.new")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestUnmountedThereIsNothingToStartOn(t *testing.T) {
	d := disks(t)
	make1(t, d, "pvc-1", 16<<20)
	if err := os.WriteFile(filepath.Join(d.Data("pvc-1"), "kept"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Unmount("pvc-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Data("pvc-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there without its disk: %v", err)
	}
	if err := waitIdle(t.Context(), d.image("pvc-1")); err != nil {
		t.Errorf("the loop device stays: %v", err)
	}
	if err := d.Mount(t.Context(), "pvc-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Data("pvc-1"), "kept")); err != nil {
		t.Error(err)
	}
}

func TestGrow(t *testing.T) {
	d := disks(t)
	make1(t, d, "pvc-1", 32<<20)
	kept := filepath.Join(d.Data("pvc-1"), "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := d.Grow(t.Context(), "pvc-1", 256<<20)
	if errors.Is(err, ErrBusy) {
		t.Log("this process may not resize a mounted filesystem (CAP_SYS_RESOURCE), so it is done unmounted")
		if err := d.Unmount("pvc-1"); err != nil {
			t.Fatal(err)
		}
		if err := waitIdle(t.Context(), d.image("pvc-1")); err != nil {
			t.Fatal(err)
		}
		err = d.Grow(t.Context(), "pvc-1", 256<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	make1(t, d, "pvc-1", 256<<20)
	for _, size := range []int64{256 << 20, 64 << 20} { // again, and smaller: nothing changes
		if err := d.Grow(t.Context(), "pvc-1", size); err != nil {
			t.Errorf("to %d: %v", size, err)
		}
	}
	if written := fill(t, filepath.Join(d.Data("pvc-1"), "full")); written < 200<<20 || written > 256<<20 {
		t.Errorf("%d bytes fit", written)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestABusyDiskIsNotDeleted(t *testing.T) {
	d := disks(t)
	make1(t, d, "pvc-1", 16<<20)
	pod := t.TempDir()
	if err := unix.Mount(d.Data("pvc-1"), pod, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "pvc-1"); !errors.Is(err, ErrBusy) {
		t.Errorf("deleting it gave %v", err)
	}
	if err := os.WriteFile(filepath.Join(pod, "goes-on"), []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
	if err := d.Mount(t.Context(), "pvc-1"); err != nil { // the same filesystem, not a second one over it
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Data("pvc-1"), "goes-on")); err != nil {
		t.Error(err)
	}
	if err := unix.Unmount(pod, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "pvc-1"); err != nil {
		t.Fatal(err)
	}
	if ids, err := d.List(); err != nil || len(ids) > 0 {
		t.Errorf("left: %v %v", ids, err)
	}
}

// A machine that loses its power leaves an image as it is while mounted.
func TestADirtyDiskIsRepairedFirst(t *testing.T) {
	d := disks(t)
	make1(t, d, "pvc-1", 16<<20)
	file, err := os.Create(filepath.Join(d.Data("pvc-1"), "kept"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(d.image("pvc-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(d.folder("pvc-2"), 0o700), os.WriteFile(d.image("pvc-2"), image, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := d.Mount(t.Context(), "pvc-2"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(d.Data("pvc-2"), "kept")); err != nil || string(data) != "x" {
		t.Errorf("%q %v", data, err)
	}
}

func TestADamagedDiskIsNotMounted(t *testing.T) {
	d := disks(t)
	if err := errors.Join(os.MkdirAll(d.folder("pvc-1"), 0o700), os.WriteFile(d.image("pvc-1"), make([]byte, 16<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := d.Mount(t.Context(), "pvc-1"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("it gave %v", err)
	}
}

func TestNoRoom(t *testing.T) {
	d := disks(t)
	err := d.Make(t.Context(), "pvc-1", 1<<50)
	if err == nil || !strings.Contains(err.Error(), "has no room") {
		t.Errorf("a disk of 1 PiB gave %v", err)
	}
	free, err := d.free()
	if err != nil || free <= 64<<20 {
		t.Skipf("this machine's own disk is full: %v %v", free, err)
	}
	make1(t, d, "pvc-2", 64<<20)
	after, err := d.free()
	if err != nil || free-after < 48<<20 {
		t.Errorf("%d are free, %d before a sparse disk of 64 MiB (%v)", after, free, err)
	}
}

func TestNames(t *testing.T) {
	d, err := New(Config{Dir: "/tmp/never"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", ".", "../x", "a/b", "-a", "A"} {
		if d.Make(t.Context(), id, 1<<30) == nil || d.Mount(t.Context(), id) == nil || d.Remove(t.Context(), id) == nil || d.Grow(t.Context(), id, 1) == nil {
			t.Errorf("%q was taken for a name", id)
		}
	}
	for _, dir := range []string{"", "/", "relative"} {
		if _, err := New(Config{Dir: dir}); err == nil {
			t.Errorf("%q was taken for a folder", dir)
		}
	}
}
