package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

const (
	imageName = "disk.img"
	mountName = "fs"
	dataName  = "data"

	// Smallest is the least that a filesystem with its journal fits into, in bytes.
	Smallest = 16 << 20
	// Block is the unit of sizes, in bytes.
	Block = 4096
	// Reserve is what stays free of the machine's own filesystem, in bytes.
	Reserve = 512 << 20
)

// ErrBusy is that of a change which has to wait until nobody uses the disk.
var ErrBusy = errors.New("the disk is in use")

var idGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)

// Config says where the disks are.
type Config struct {
	Dir string // absolute
}

// Disks are the disks below one folder. They are safe for concurrent use.
type Disks struct {
	dir string

	mu sync.Mutex // one change at a time: looking and changing belong together
}

// New checks the settings; nothing is made or mounted.
func New(cfg Config) (*Disks, error) {
	if !filepath.IsAbs(cfg.Dir) || filepath.Clean(cfg.Dir) == "/" {
		return nil, fmt.Errorf("%q is no folder for disks", cfg.Dir)
	}
	return &Disks{dir: filepath.Clean(cfg.Dir)}, nil
}

// Data is the folder that pods get.
func (d *Disks) Data(id string) string { return filepath.Join(d.mountPoint(id), dataName) }

func (d *Disks) folder(id string) string     { return filepath.Join(d.dir, id) }
func (d *Disks) image(id string) string      { return filepath.Join(d.dir, id, imageName) }
func (d *Disks) mountPoint(id string) string { return filepath.Join(d.dir, id, mountName) }

func checkID(id string) error {
	if !idGrammar.MatchString(id) {
		return fmt.Errorf("%q can't be the name of a disk", id)
	}
	return nil
}

// Make makes a disk of size bytes; one that is there is left as it is. What an
// interrupted attempt left is begun again: the image has its name only when it
// is whole.
func (d *Disks) Make(ctx context.Context, id string, size int64) error {
	if err := checkID(id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	size = rounded(size)
	if size < Smallest {
		return agent.Errorf(agent.CodeInvalid, "ask for 16Mi at least", "a volume of %d bytes has no room for a filesystem", size)
	}
	if _, err := os.Stat(d.image(id)); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for a disk: %w", err)
	}
	if err := d.room(size); err != nil {
		return err
	}
	for _, dir := range []string{d.dir, d.folder(id), d.mountPoint(id)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making a disk: %w", err)
		}
	}
	unfinished := d.image(id) + ".new"
	if err := makeFile(unfinished, size); err != nil {
		return fmt.Errorf("making a disk: %w", err)
	}
	if err := format(ctx, unfinished); err != nil {
		return err
	}
	if err := errors.Join(syncPath(unfinished), os.Rename(unfinished, d.image(id)), syncPath(d.folder(id)), syncPath(d.dir)); err != nil {
		return fmt.Errorf("making a disk: %w", err)
	}
	return nil
}

// rounded is the size in whole blocks, never more than asked.
func rounded(size int64) int64 { return size / Block * Block }

func makeFile(path string, size int64) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return file.Truncate(size)
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Mount mounts a disk, unless it is mounted. One that was not let go of
// cleanly is repaired first.
func (d *Disks) Mount(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mount(ctx, id)
}

func (d *Disks) mount(ctx context.Context, id string) error {
	mounted, err := d.mounted(id)
	if err != nil {
		return err
	}
	if !mounted {
		if err := d.attachAndMount(ctx, id); err != nil {
			return err
		}
	}
	data := d.Data(id)
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	// Whoever runs in the pod writes there, whatever its user; the folders
	// above are root's alone.
	if err := os.Mkdir(data, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the folder of a disk: %w", err)
	}
	if err := os.Chmod(data, 0o777); err != nil {
		return fmt.Errorf("making the folder of a disk: %w", err)
	}
	return nil
}

func (d *Disks) attachAndMount(ctx context.Context, id string) error {
	if err := os.MkdirAll(d.mountPoint(id), 0o700); err != nil {
		return fmt.Errorf("mounting a disk: %w", err)
	}
	device, attached, err := deviceOf(d.image(id))
	if err != nil {
		return err
	}
	if !attached { // else pods still use it, and it is in order
		if err := repair(ctx, d.image(id)); err != nil {
			return err
		}
		if device, err = attach(d.image(id)); err != nil {
			return err
		}
	}
	defer func() { _ = device.Close() }() // the mount holds it now, or it is let go of
	if err := unix.Mount(device.Name(), d.mountPoint(id), "ext4", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mounting the disk %s: %w", id, err)
	}
	return nil
}

// mounted tells whether the disk is mounted where it belongs.
func (d *Disks) mounted(id string) (bool, error) {
	var at, above unix.Stat_t
	if err := unix.Stat(d.mountPoint(id), &at); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("looking at the disk %s: %w", id, err)
	}
	if err := unix.Stat(d.folder(id), &above); err != nil {
		return false, fmt.Errorf("looking at the disk %s: %w", id, err)
	}
	return at.Dev != above.Dev, nil
}

// Unmount takes the mount away. Pods that use the disk go on with their own
// mounts of it, but none can be started on it.
func (d *Disks) Unmount(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unmount(id)
}

func (d *Disks) unmount(id string) error {
	mounted, err := d.mounted(id)
	if err != nil || !mounted {
		return err
	}
	if err := unix.Unmount(d.mountPoint(id), unix.UMOUNT_NOFOLLOW); errors.Is(err, unix.EBUSY) {
		return ErrBusy
	} else if err != nil {
		return fmt.Errorf("unmounting the disk %s: %w", id, err)
	}
	return nil
}

// Idle tells whether nobody uses the file any more: no mount of it is left
// anywhere.
func (d *Disks) Idle(id string) (bool, error) {
	if err := checkID(id); err != nil {
		return false, err
	}
	return idle(d.image(id))
}

func idle(image string) (bool, error) {
	device, attached, err := deviceOf(image)
	if attached {
		err = device.Close()
	}
	return !attached, err
}

// detachWithin is how long a loop device may take to let go of its file: the
// kernel does it behind the last mount's back.
const detachWithin = 2 * time.Second

func waitIdle(ctx context.Context, image string) error {
	ctx, cancel := context.WithTimeout(ctx, detachWithin)
	defer cancel()
	for {
		free, err := idle(image)
		if err != nil || free {
			return err
		}
		select {
		case <-ctx.Done():
			return ErrBusy
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Remove unmounts a disk and deletes it; ErrBusy when pods still use it. One
// that is not there is fine.
func (d *Disks) Remove(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := os.Lstat(d.folder(id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.unmount(id); err != nil {
		return err
	}
	if err := waitIdle(ctx, d.image(id)); err != nil {
		return err
	}
	// File by file: were something mounted in spite of all, it would stay.
	for _, name := range []string{imageName, imageName + ".new", imageName + ".in", mountName, ""} {
		if err := os.Remove(filepath.Join(d.folder(id), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting the disk %s: %w", id, err)
		}
	}
	return syncPath(d.dir)
}

// List names the disks that are there, finished or not.
func (d *Disks) List() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing disks: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() && idGrammar.MatchString(entry.Name()) {
			ids = append(ids, entry.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Mounted names the disks that are mounted.
func (d *Disks) Mounted() ([]string, error) {
	ids, err := d.List()
	if err != nil {
		return nil, err
	}
	var mounted []string
	for _, id := range ids {
		is, err := d.mounted(id)
		if err != nil {
			return nil, err
		}
		if is {
			mounted = append(mounted, id)
		}
	}
	return mounted, nil
}

// UnmountAll unmounts every disk and waits until their files are let go of:
// for when the cluster has ended.
func (d *Disks) UnmountAll(ctx context.Context) error {
	ids, err := d.List()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var failed []error
	for _, id := range ids {
		err := d.unmount(id)
		if err == nil {
			err = waitIdle(ctx, d.image(id))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, fmt.Errorf("the disk %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}
