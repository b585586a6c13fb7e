// Package hosts keeps a block of the machine's table of host names, hosts(5),
// between two marks. All other lines stay as they are, byte for byte.
package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"hks.dev/hks/agent"
)

// The marks around the block.
const (
	begin = "# hks begin"
	end   = "# hks end"
)

// File is a table of host names. Only one process at a time may edit it.
type File struct{ Path string }

// Set makes the block name exactly these hosts (host to address); without any
// the block goes. A file that says so already is not touched.
func (f File) Set(ctx context.Context, table map[string]string) error {
	for host, address := range table {
		if err := agent.ValidateHost(host); err != nil {
			return err
		}
		if _, err := netip.ParseAddr(address); err != nil {
			return fmt.Errorf("naming %s in %s: %w", host, f.Path, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	old, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading host names: %w", err)
	}
	text, err := edit(old, table)
	if err != nil {
		return &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("the block of hks in %s is damaged: %v", f.Path, err),
			Fix:     fmt.Sprintf("remove the lines from %q on that hks wrote from %s", begin, f.Path),
			Cause:   err,
		}
	}
	if bytes.Equal(text, old) {
		return nil
	}
	return f.write(text)
}

// Remove takes the block away; without one it does nothing.
func (f File) Remove(ctx context.Context) error { return f.Set(ctx, nil) }

// edit returns text with the block naming exactly the table.
func edit(text []byte, table map[string]string) ([]byte, error) {
	var out bytes.Buffer
	inside := false
	for line := range bytes.Lines(text) {
		mark := string(bytes.TrimRight(line, " \t\r\n"))
		switch {
		case mark == begin && inside:
			return nil, errors.New("it begins twice")
		case mark == begin:
			inside = true
		case mark == end && !inside:
			return nil, errors.New("it ends without a beginning")
		case mark == end:
			inside = false
		case !inside:
			out.Write(line)
		}
	}
	if inside {
		return nil, errors.New("it has no end")
	}
	if len(table) == 0 {
		return out.Bytes(), nil
	}
	if n := out.Len(); n > 0 && out.Bytes()[n-1] != '\n' {
		out.WriteByte('\n')
	}
	out.WriteString(begin + "\n")
	for _, host := range slices.Sorted(maps.Keys(table)) {
		out.WriteString(table[host] + "\t" + host + "\n")
	}
	out.WriteString(end + "\n")
	return out.Bytes(), nil
}

// write replaces the file by rename. In a container it is a mount of its own,
// which can't be replaced, only written.
func (f File) write(text []byte) error {
	path, err := filepath.EvalSymlinks(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		path, err = f.Path, nil
	}
	if err != nil {
		return fmt.Errorf("writing host names: %w", err)
	}
	temp := path + ".hks.tmp"
	err = f.replace(path, temp, text)
	if err == nil {
		return nil
	}
	_ = os.Remove(temp) // it may not be there
	if !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("writing host names: %w", err)
	}
	if err := writeSynced(path, text, 0o644); err != nil {
		return fmt.Errorf("writing host names in place: %w", err)
	}
	return nil
}

func (f File) replace(path, temp string, text []byte) error {
	mode, uid, gid := fs.FileMode(0o644), -1, -1
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(st.Uid), int(st.Gid)
		}
	}
	if err := writeSynced(temp, text, mode); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(temp, mode), os.Chown(temp, uid, gid)); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func writeSynced(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
