package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Requests of linux/fs.h that freeze a filesystem and let it go on.
const (
	ioctlFreeze = 0xC0045877 // FIFREEZE
	ioctlThaw   = 0xC0045878 // FITHAW
)

// longestPause is how long a copy may hold up writes; one that takes longer
// is given up. It bounds what an app notices.
const longestPause = 30 * time.Second

// ErrSlowCopy is that of a copy which would have held up writes for too long.
var ErrSlowCopy = fmt.Errorf("copying the disk would hold up its writes for more than %s", longestPause)

// Snapshot writes a consistent copy of a disk to a file that must not exist
// yet, and returns for how long writes had to wait. Where the filesystem below
// can share blocks that is a moment; else it is as long as copying what is in
// use takes. Another filesystem than that of the disks is never as quick.
func (d *Disks) Snapshot(ctx context.Context, id, to string) (time.Duration, error) {
	if err := checkID(id); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	from, err := os.Open(d.image(id))
	if err != nil {
		return 0, fmt.Errorf("copying the disk %s: %w", id, err)
	}
	defer func() { _ = from.Close() }() // only read
	copied, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("copying the disk %s: %w", id, err)
	}
	paused, err := d.copyFrozen(ctx, id, from, copied)
	if err = errors.Join(err, copied.Close()); err != nil {
		return paused, fmt.Errorf("copying the disk %s: %w", id, errors.Join(err, os.Remove(to)))
	}
	return paused, nil
}

func (d *Disks) copyFrozen(ctx context.Context, id string, from, to *os.File) (paused time.Duration, err error) {
	mounted, err := d.mounted(id)
	if err != nil {
		return 0, err
	}
	if mounted {
		point, err := os.Open(d.mountPoint(id))
		if err != nil {
			return 0, err
		}
		defer func() { _ = point.Close() }() // only a handle
		// What is dirty is written before anyone has to wait.
		if err := unix.Syncfs(int(point.Fd())); err != nil {
			return 0, fmt.Errorf("writing it out: %w", err)
		}
		if err := unix.IoctlSetInt(int(point.Fd()), ioctlFreeze, 0); err != nil {
			return 0, fmt.Errorf("freezing it: %w", err)
		}
		begin := time.Now()
		defer func() {
			paused = time.Since(begin)
			if thawed := unix.IoctlSetInt(int(point.Fd()), ioctlThaw, 0); thawed != nil {
				err = errors.Join(err, fmt.Errorf("letting it go on: %w", thawed))
			}
		}()
	}
	if err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd())); err == nil {
		return 0, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, longestPause, ErrSlowCopy)
	defer cancel()
	return 0, copySparse(limited, from, to)
}

// copySparse copies the parts of a file that are not holes.
func copySparse(ctx context.Context, from, to *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); ; {
		begin, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // holes up to the end
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(int(from.Fd()), begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for at = begin; at < end; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := io.Copy(io.NewOffsetWriter(to, at), io.NewSectionReader(from, at, min(end-at, 8<<20)))
			if err != nil {
				return err
			}
			if n == 0 {
				return io.ErrUnexpectedEOF
			}
			at += n
		}
	}
}

// Thaw lets a disk go on that an end in the middle of a copy left frozen. One
// that is not frozen stays as it is.
func (d *Disks) Thaw(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	mounted, err := d.mounted(id)
	if err != nil || !mounted {
		return err
	}
	point, err := os.Open(d.mountPoint(id))
	if err != nil {
		return fmt.Errorf("letting the disk %s go on: %w", id, err)
	}
	defer func() { _ = point.Close() }() // only a handle
	if err := unix.IoctlSetInt(int(point.Fd()), ioctlThaw, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("letting the disk %s go on: %w", id, err)
	}
	return nil
}
