package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

// Chunk is the unit in which disks are compared and copied, in bytes.
const Chunk = 1 << 20

// Sum is the SHA-256 of a chunk; the zero one is that of a chunk with nothing
// but zeros in it, which files leave out.
type Sum [sha256.Size]byte

// Digest is one sum over those of all chunks, in hexadecimal.
func Digest(sums []Sum) string {
	hash := sha256.New()
	for _, sum := range sums {
		_, _ = hash.Write(sum[:]) // never fails
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// incoming is the file of a disk that arrives from another machine: it has the
// name of a disk only when it is whole.
func (d *Disks) incoming(id string) string { return filepath.Join(d.folder(id), imageName+".in") }

// Sums reads the whole file of a disk, or of one that arrives. While the disk
// is mounted they are those of a moment each.
func (d *Disks) Sums(ctx context.Context, id string) ([]Sum, error) {
	file, err := d.openEither(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the disk %s: %w", id, err)
	}
	sums := make([]Sum, (info.Size()+Chunk-1)/Chunk)
	buffer := make([]byte, Chunk)
	for i := range sums {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := int64(i) * Chunk
		if data, err := unix.Seek(int(file.Fd()), at, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) || (err == nil && data >= at+Chunk) {
			continue // a hole
		}
		if sums[i], err = sumAt(file, buffer, at); err != nil {
			return nil, fmt.Errorf("reading the disk %s: %w", id, err)
		}
	}
	return sums, nil
}

func sumAt(file *os.File, buffer []byte, at int64) (Sum, error) {
	n, err := file.ReadAt(buffer, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return Sum{}, err
	}
	if empty(buffer[:n]) {
		return Sum{}, nil
	}
	return sha256.Sum256(buffer[:n]), nil
}

var zeros = make([]byte, Chunk)

func empty(data []byte) bool { return bytes.Equal(data, zeros[:len(data)]) }

func (d *Disks) openEither(id string) (*os.File, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	file, err := os.Open(d.image(id))
	if errors.Is(err, fs.ErrNotExist) {
		file, err = os.Open(d.incoming(id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, agent.Errorf(agent.CodeNotFound, "", "there is no disk %s", id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the disk %s: %w", id, err)
	}
	return file, nil
}

// ReadChunk reads the chunk number n of a disk; the last may be shorter.
func (d *Disks) ReadChunk(_ context.Context, id string, n int) ([]byte, error) {
	file, err := d.openEither(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	buffer := make([]byte, Chunk)
	read, err := file.ReadAt(buffer, int64(n)*Chunk)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the disk %s: %w", id, err)
	}
	return buffer[:read], nil
}

// Accept makes ready for a disk of size bytes to arrive from another machine;
// what arrived of it before stays.
func (d *Disks) Accept(_ context.Context, id string, size int64) error {
	if err := checkID(id); err != nil {
		return err
	}
	size = rounded(size)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := os.Stat(d.image(id)); err == nil {
		return fmt.Errorf("the disk %s is there already", id)
	}
	for _, dir := range []string{d.dir, d.folder(id), d.mountPoint(id)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making room for a disk: %w", err)
		}
	}
	info, err := os.Stat(d.incoming(id))
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.room(size); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("making room for a disk: %w", err)
	} else if info.Size() == size {
		return nil
	}
	file, err := os.OpenFile(d.incoming(id), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("making room for a disk: %w", err)
	}
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return fmt.Errorf("making room for a disk: %w", err)
	}
	return nil
}

// WriteChunk writes the chunk number n of a disk that arrives; no data is a
// chunk of zeros.
func (d *Disks) WriteChunk(_ context.Context, id string, n int, data []byte) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	if len(data) > Chunk || n < 0 {
		return fmt.Errorf("the chunk %d of the disk %s has %d bytes", n, id, len(data))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	file, err := os.OpenFile(d.incoming(id), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("writing the disk %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("writing the disk %s: %w", id, err)
	}
	at := int64(n) * Chunk
	if at+int64(len(data)) > info.Size() {
		return fmt.Errorf("the chunk %d is beyond the end of the disk %s", n, id)
	}
	if empty(data) {
		err = unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, min(Chunk, info.Size()-at))
	} else {
		_, err = file.WriteAt(data, at)
	}
	if err != nil {
		return fmt.Errorf("writing the disk %s: %w", id, err)
	}
	return nil
}

// Seal makes a disk of what has arrived, when it is what digest says. One that
// was sealed before is read and compared again.
func (d *Disks) Seal(ctx context.Context, id, digest string) error {
	_, err := os.Stat(d.image(id))
	sealed := err == nil
	if !sealed {
		if err := syncPath(d.incoming(id)); err != nil {
			return fmt.Errorf("sealing the disk %s: %w", id, err)
		}
	}
	sums, err := d.Sums(ctx, id)
	if err != nil {
		return err
	}
	if got := Digest(sums); got != digest {
		return agent.Errorf(agent.CodeConflict, "try again; when it happens again, look for a failing disk or memory", "the copy of the disk %s is not what was sent: %.12s instead of %.12s", id, got, digest)
	}
	if sealed {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(os.Rename(d.incoming(id), d.image(id)), syncPath(d.folder(id)), syncPath(d.dir)); err != nil {
		return fmt.Errorf("sealing the disk %s: %w", id, err)
	}
	return nil
}
