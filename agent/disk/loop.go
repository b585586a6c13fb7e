package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	loopMajor    = 7
	attachTrials = 32 // another process may take the free device first
)

// attach puts an image behind a free loop device, which lets go of it when it
// is closed everywhere and mounted nowhere.
func attach(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a disk: %w", err)
	}
	defer func() { _ = file.Close() }() // the device holds it from here on
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("asking for a loop device (is the kernel's module loop there?): %w", err)
	}
	defer func() { _ = control.Close() }() // nothing was written
	for range attachTrials {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a loop device: %w", err)
		}
		device, err := openLoop(number)
		if err != nil {
			return nil, err
		}
		err = configure(device, file)
		if err == nil {
			return device, nil
		}
		_ = device.Close() // it was not ours
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attaching a disk: %w", err)
		}
	}
	return nil, errors.New("attaching a disk: no loop device stayed free")
}

// configure is one step where the kernel has it (since 5.8), else two.
func configure(device, file *os.File) error {
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}} //nolint:gosec // a file descriptor
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	err := unix.IoctlLoopConfigure(int(device.Fd()), &config)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, int(file.Fd())); err != nil {
		return err
	}
	err = unix.IoctlLoopSetStatus64(int(device.Fd()), &config.Info)
	if err != nil {
		err = errors.Join(err, unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0))
	}
	return err
}

// openLoop opens /dev/loopN; its node is made where nothing makes it.
func openLoop(number int) (*os.File, error) {
	path := "/dev/loop" + strconv.Itoa(number)
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(number)))); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // numbers of devices are small
			return nil, fmt.Errorf("making %s: %w", path, err)
		}
		device, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("opening a loop device: %w", err)
	}
	return device, nil
}

// deviceOf finds the loop device that an image is behind, in whatever mount
// namespace that was done. The caller closes it.
func deviceOf(image string) (device *os.File, attached bool, err error) {
	var file unix.Stat_t
	if err := unix.Stat(image, &file); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("looking at a disk: %w", err)
	}
	used, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, false, fmt.Errorf("listing loop devices: %w", err)
	}
	for _, folder := range used {
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(folder)), "loop"))
		if err != nil {
			continue
		}
		device, err := openLoop(number)
		if err != nil {
			continue // it went meanwhile
		}
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		if err == nil && info.Inode == file.Ino && info.Device == file.Dev {
			return device, true, nil
		}
		_ = device.Close() // only looked at
	}
	return nil, false, nil
}
