package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Grow makes a disk larger, with its filesystem, while pods use it. A smaller
// size changes nothing. ErrBusy says that this machine's kernel does not let
// this process do so while the disk is mounted (it takes CAP_SYS_RESOURCE):
// then it works once the disk is idle.
func (d *Disks) Grow(ctx context.Context, id string, size int64) error {
	if err := checkID(id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	size = rounded(size)
	if err := d.enlarge(id, size); err != nil {
		return err
	}
	device, attached, err := deviceOf(d.image(id))
	if err != nil {
		return err
	}
	if !attached {
		return growIdle(ctx, d.image(id), size)
	}
	defer func() { _ = device.Close() }() // only spoken to
	if large, err := holds(device.Name(), size); large || err != nil {
		return err
	}
	mounted, err := d.mounted(id)
	if err != nil {
		return err
	}
	if !mounted {
		return ErrBusy
	}
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("growing the device of %s: %w", id, err)
	}
	if err := resizeMounted(ctx, device.Name()); err != nil {
		return err
	}
	return prove(device.Name(), size)
}

// holds tells whether the filesystem in a file or device has that size.
func holds(path string, size int64) (bool, error) {
	has, err := filesystemSize(path)
	return has >= size-slack, err
}

// slack is what ext4 may leave at its end, in bytes: a last group of blocks that
// would hold hardly more than what describes it.
const slack = 4 << 20

func prove(path string, size int64) error {
	large, err := holds(path, size)
	if err == nil && !large {
		err = fmt.Errorf("growing a disk: its filesystem did not get to %d bytes", size)
	}
	return err
}

// enlarge makes the file larger; what is new takes no room until it is written.
func (d *Disks) enlarge(id string, size int64) (err error) {
	file, err := os.OpenFile(d.image(id), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("growing a disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("growing a disk: %w", err)
	}
	if info.Size() >= size {
		return nil
	}
	if err := d.room(size - info.Size()); err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(size), file.Sync()); err != nil {
		return fmt.Errorf("growing a disk: %w", err)
	}
	return nil
}

// growIdle grows the filesystem of a disk that nobody uses.
func growIdle(ctx context.Context, image string, size int64) error {
	if large, err := holds(image, size); large || err != nil {
		return err
	}
	if err := check(ctx, image); err != nil {
		return err
	}
	if err := resizeIdle(ctx, image); err != nil {
		return err
	}
	return prove(image, size)
}

// Of an ext4 superblock, from the file's begin.
const (
	superblock  = 1024
	atBlocks    = superblock + 0x4
	atMagic     = superblock + 0x38
	atBlocksTop = superblock + 0x150
	magic       = 0xEF53
)

// filesystemSize reads how large the filesystem in an image is, in bytes. That
// of a mounted one is to be read from its device: the file learns of it later.
func filesystemSize(image string) (int64, error) {
	file, err := os.Open(image)
	if err != nil {
		return 0, fmt.Errorf("reading a disk: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	head := make([]byte, superblock+1024)
	if _, err := file.ReadAt(head, 0); err != nil {
		return 0, fmt.Errorf("reading a disk: %w", err)
	}
	if binary.LittleEndian.Uint16(head[atMagic:]) != magic {
		return 0, errors.New("reading a disk: there is no ext4 filesystem in it")
	}
	blocks := int64(binary.LittleEndian.Uint32(head[atBlocks:])) | int64(binary.LittleEndian.Uint32(head[atBlocksTop:]))<<32
	return blocks * Block, nil
}
