package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Log is a file that a process appends to, kept within a bound: beyond Limit
// its content moves to Path.1 and it begins again. The writer needs no part in
// it, as it appends; a line written in that very moment may be lost.
type Log struct {
	Path  string
	Limit int64 // bytes; 0: 8 MiB
}

const defaultLogLimit = 8 << 20

// open returns the file for a child to append to.
func (l Log) open() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return nil, fmt.Errorf("making the log's folder: %w", err)
	}
	f, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	return f, nil
}

// Trim moves the content away when it has outgrown the limit.
func (l Log) Trim() error {
	limit := l.Limit
	if limit <= 0 {
		limit = defaultLogLimit
	}
	info, err := os.Stat(l.Path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() <= limit) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measuring a log: %w", err)
	}
	src, err := os.Open(l.Path)
	if err != nil {
		return fmt.Errorf("trimming a log: %w", err)
	}
	defer func() { _ = src.Close() }() // only read
	// The newest part is what matters when the writer outran us by far.
	if _, err := src.Seek(max(0, info.Size()-limit), io.SeekStart); err != nil {
		return fmt.Errorf("trimming a log: %w", err)
	}
	dst, err := os.OpenFile(l.Path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("trimming a log: %w", err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("trimming a log: %w", err)
	}
	if err := os.Truncate(l.Path, 0); err != nil {
		return fmt.Errorf("trimming a log: %w", err)
	}
	return nil
}

// Tail returns up to n of the last lines, from the older file too when the
// current one has just begun again.
func (l Log) Tail(n int) []string {
	lines := lastLines(l.Path, n)
	if len(lines) < n {
		lines = append(lastLines(l.Path+".1", n-len(lines)), lines...)
	}
	return lines
}

// tailWindow bounds how much of a log is read for its last lines.
const tailWindow = 64 << 10

func lastLines(path string, n int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil // no log, no lines
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	from := max(0, info.Size()-tailWindow)
	data, err := io.ReadAll(io.NewSectionReader(f, from, tailWindow))
	if err != nil {
		return nil
	}
	if from > 0 {
		_, data, _ = bytes.Cut(data, []byte("\n")) // the first line is cut
	}
	text := strings.TrimRight(string(data), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-n):]
}
