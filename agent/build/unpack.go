package build

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"hks.dev/hks/agent"
)

// gzipMagic begins a compressed archive (RFC 1952).
var gzipMagic = []byte{0x1f, 0x8b}

const (
	maxName    = 1024    // bytes of an entry's name: each of its folders is made
	maxTrailer = 1 << 20 // bytes after the archive's end: padding, and gzip's checksum
)

// unpack writes an archive into a new folder. The archive is hostile: nothing
// of it is written outside of the folder, and only files, folders and links
// are taken.
func unpack(folder string, archive io.Reader, limits Limits) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("making the folder of a source: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("opening the folder of a source: %w", err)
	}
	defer func() { _ = root.Close() }()
	buffered := bufio.NewReader(archive)
	in := io.Reader(buffered)
	if head, err := buffered.Peek(len(gzipMagic)); err == nil && bytes.Equal(head, gzipMagic) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return broken(err)
		}
		in = unzipped
	}
	u := unpacking{root: root, limits: limits, folders: map[string]bool{}}
	for files := tar.NewReader(in); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return broken(err)
		}
		if err := u.take(header, files); err != nil {
			return err
		}
	}
	// The checksum comes after the end.
	if _, err := io.CopyN(io.Discard, in, maxTrailer); err != nil && !errors.Is(err, io.EOF) {
		return broken(err)
	}
	if u.files == 0 {
		return agent.Errorf(agent.CodeInvalid, "run it in the folder of the project", "the source is empty")
	}
	return nil
}

func broken(err error) error {
	return agent.Errorf(agent.CodeInvalid, "send it again", "the source is no whole tar archive: %w", err)
}

type unpacking struct {
	root   *os.Root
	limits Limits
	files  int
	bytes  int64

	folders map[string]bool // that were made
}

// take writes one entry.
func (u *unpacking) take(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil // of git archive: a comment, nothing to write
	}
	name := path.Clean(strings.TrimSuffix(header.Name, "/"))
	if name == "." {
		return nil
	}
	if len(name) > maxName {
		return agent.Errorf(agent.CodeInvalid, "leave it out in a .dockerignore", "%.200q... has a name of more than %d bytes", name, maxName)
	}
	if !fs.ValidPath(name) {
		return agent.Errorf(agent.CodeInvalid, "pack the project's own folder", "the source has an entry outside of it: %.200q", header.Name)
	}
	u.files++
	u.bytes += max(header.Size, 0)
	for dir := path.Dir(name); dir != "." && !u.folders[dir]; dir = path.Dir(dir) {
		u.folders[dir] = true
	}
	if u.files > u.limits.Files || len(u.folders) > u.limits.Files || u.bytes > u.limits.Bytes {
		return &agent.Error{
			Code:    agent.CodeTooLarge,
			Message: fmt.Sprintf("the source is larger than %d MiB or has more than %d files or folders", u.limits.Bytes>>20, u.limits.Files),
			Fix:     "leave out what the build does not need in a .dockerignore",
			Details: map[string]any{"limitBytes": u.limits.Bytes, "limitFiles": u.limits.Files},
		}
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return writing(name, err)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return writing(name, u.root.MkdirAll(name, 0o755))
	case tar.TypeSymlink:
		return writing(name, u.root.Symlink(header.Linkname, name))
	case tar.TypeReg:
		return u.file(name, header, content)
	}
	return agent.Errorf(agent.CodeInvalid, "leave it out in a .dockerignore", "%.200q is no file, folder or link", name)
}

func (u *unpacking) file(name string, header *tar.Header, content io.Reader) error {
	mode := fs.FileMode(0o644)
	if header.Mode&0o111 != 0 {
		mode = 0o755
	}
	file, err := u.root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return writing(name, err)
	}
	_, err = io.Copy(file, content)
	err = errors.Join(err, file.Chmod(mode)) // the steps run as other users, whatever the umask
	if err := errors.Join(err, file.Close()); err != nil {
		return writing(name, err)
	}
	// The builder tells what has changed by the time too.
	return writing(name, u.root.Chtimes(name, header.ModTime, header.ModTime))
}

// writing explains why an entry could not be written.
func writing(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return agent.Errorf(agent.CodeNoSpace, "make room: hks image prune", "the disk has no room for the source: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, tar.ErrHeader):
		return broken(err)
	}
	return agent.Errorf(agent.CodeInvalid, "see that it is an ordinary file of the project", "%.200q can't be taken from the source: %w", name, err)
}
