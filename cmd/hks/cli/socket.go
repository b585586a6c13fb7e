package cli

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"time"
)

// socketUsable tells whether the socket is there and this user may use it. A
// socket that nobody serves counts as usable: the error that follows says so.
func socketUsable(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return !errors.Is(err, fs.ErrPermission)
	}
	_ = conn.Close() // nothing was written
	return true
}
