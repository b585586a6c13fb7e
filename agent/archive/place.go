package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// sparseBlock is what is left out of a file as a whole when it is all zeros, bytes.
const sparseBlock = 64 << 10

// Place writes a part to a file, whose folders are made for root only, with
// holes where it is zero, synced. What is there is replaced.
func Place(p Part, content io.Reader, file string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("placing %s: %w", p.Name, err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("placing %s: %w", p.Name, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("placing %s: %w", p.Name, err)
		}
	}()
	zero, block := make([]byte, sparseBlock), make([]byte, sparseBlock)
	for at := int64(0); at < p.Bytes; {
		n, err := io.ReadFull(content, block)
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := f.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err != nil && (!errors.Is(err, io.ErrUnexpectedEOF) || at != p.Bytes) {
			return err
		}
	}
	return errors.Join(f.Truncate(p.Bytes), f.Chmod(p.Mode), f.Sync())
}
