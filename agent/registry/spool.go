package registry

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"hks.dev/hks/agent"
)

// portion is how many bytes are written between two looks at the disk.
const portion = 32 << 20

// spool writes an archive to a temporary file, unpacked when it is gzipped,
// so that its parts can be read in any order. It stops at the size limit and
// before the disk is full. The caller removes the file.
func (r *Registry) spool(ctx context.Context, from io.Reader) (file *os.File, err error) {
	file, err = os.CreateTemp(r.incoming(), "archive-*.tar")
	if err != nil {
		return nil, fmt.Errorf("keeping the archive: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(file))
			file = nil
		}
	}()
	in := bufio.NewReaderSize(from, 1<<20)
	var plain io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		zipped, err := gzip.NewReader(in)
		if err != nil {
			return file, damaged("it begins like gzip and is none", err)
		}
		plain = zipped
	}
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return file, fmt.Errorf("receiving the archive: %w", err)
		}
		if err := r.room(portion); err != nil {
			return file, err
		}
		n, err := io.CopyN(file, plain, portion)
		total += n
		switch {
		case total > r.cfg.MaxArchive:
			return file, agent.Errorf(agent.CodeTooLarge, "make the image smaller, or push it to a registry that the machine can reach",
				"the archive is larger than %d MiB, the limit", r.cfg.MaxArchive>>20)
		case errors.Is(err, io.EOF):
			return file, nil
		case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF):
			return file, damaged("its compressed data is broken or cut short", err)
		case errors.Is(err, syscall.ENOSPC):
			return file, noSpace(0, err)
		case err != nil:
			return file, fmt.Errorf("receiving the archive: %w", err)
		}
	}
}

// room tells whether the disk takes more bytes and keeps its reserve.
func (r *Registry) room(more int64) error {
	free, err := r.cfg.FreeSpace(r.cfg.Dir)
	if err != nil {
		return err
	}
	if free-more < r.cfg.MinFree {
		return noSpace(free, nil)
	}
	return nil
}

func noSpace(free int64, cause error) error {
	return &agent.Error{
		Code:    agent.CodeNoSpace,
		Message: fmt.Sprintf("the disk has no room for the image (%d MiB free)", free>>20),
		Fix:     "hks image prune removes what no release needs; or free some space on the machine, then send the image again",
		Cause:   cause,
	}
}

func damaged(why string, cause error) error {
	return &agent.Error{
		Code:    agent.CodeInvalidImage,
		Message: "the archive can't be read: " + why,
		Fix:     "make it anew with docker save NAME:TAG -o FILE.tar, and load that",
		Cause:   cause,
	}
}

func discard(file *os.File) error {
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
