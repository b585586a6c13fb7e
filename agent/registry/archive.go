package registry

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Bounds of what an archive may hold beside layers.
const (
	maxEntries  = 100_000
	maxDocument = 8 << 20 // bytes of one JSON document
	maxLinks    = 8       // followed to reach a file
)

// archive is a tar file whose entries can be read in any order. Nothing of it
// is unpacked to the disk, so the names in it can do no harm.
type archive struct {
	file    *os.File
	entries map[string]entry
}

type entry struct {
	offset, size int64
	link         string // another entry's name
}

// openArchive reads the names and places of all entries.
func openArchive(file *os.File) (*archive, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	a := &archive{file: file, entries: map[string]entry{}}
	reader := tar.NewReader(file)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, damaged("it is no tar file, or is cut short", err)
		}
		if len(a.entries) >= maxEntries {
			return nil, damaged("it has too many entries", nil)
		}
		name := clean(header.Name)
		switch header.Typeflag {
		case tar.TypeReg:
			offset, err := file.Seek(0, io.SeekCurrent) // the reader is at the data
			if err != nil {
				return nil, fmt.Errorf("reading the archive: %w", err)
			}
			a.entries[name] = entry{offset: offset, size: header.Size}
		case tar.TypeSymlink:
			a.entries[name] = entry{link: clean(path.Join(path.Dir(name), header.Linkname))}
		case tar.TypeLink:
			a.entries[name] = entry{link: clean(header.Linkname)}
		case tar.TypeDir:
		default:
			return nil, damaged(fmt.Sprintf("entry %q is of a kind that images do not have", header.Name), nil)
		}
	}
	if len(a.entries) == 0 {
		return nil, damaged("it is empty", nil)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	for name, e := range a.entries {
		if e.offset+e.size > info.Size() {
			return nil, damaged(fmt.Sprintf("entry %q is cut short", name), nil)
		}
	}
	return a, nil
}

func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// open returns an entry's content.
func (a *archive) open(name string) (*io.SectionReader, error) {
	at := clean(name)
	for range maxLinks {
		e, ok := a.entries[at]
		if !ok {
			break
		}
		if e.link == "" {
			return io.NewSectionReader(a.file, e.offset, e.size), nil
		}
		at = e.link
	}
	return nil, damaged(fmt.Sprintf("it lacks %q", name), nil)
}

func (a *archive) has(name string) bool {
	_, ok := a.entries[name]
	return ok
}

// bytes returns the whole of a small entry.
func (a *archive) bytes(name string) ([]byte, error) {
	content, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if content.Size() > maxDocument {
		return nil, damaged(fmt.Sprintf("%q is too large", name), nil)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	return text, nil
}

// document decodes a JSON entry.
func (a *archive) document(name string, into any) error {
	text, err := a.bytes(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return damaged(fmt.Sprintf("%q is no valid JSON", name), err)
	}
	return nil
}
