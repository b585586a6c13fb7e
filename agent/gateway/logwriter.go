package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/logging"
)

const (
	logBatch   = 200 * time.Millisecond // how long lines are gathered
	logPending = 4 << 20                // bytes that may wait for a slow disk; further lines are dropped
)

// logFile is the Caddy module caddy.logging.writers.hks_file: Caddy's rolling
// file, written in the background. The last part of an answer leaves after
// its line is logged, so a disk that is busy would hold up answers.
type logFile struct {
	logging.FileWriter
}

// CaddyModule names the module.
func (logFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.hks_file", New: func() caddy.Module { return new(logFile) }}
}

// OpenWriter opens the file.
func (f logFile) OpenWriter() (io.WriteCloser, error) {
	file, err := f.FileWriter.OpenWriter()
	if err != nil {
		return nil, err
	}
	w := &batchWriter{to: file, wake: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan error, 1)}
	go w.run()
	return w, nil
}

// batchWriter gathers lines and writes them from a goroutine of its own,
// which Close ends.
type batchWriter struct {
	to      io.WriteCloser
	wake    chan struct{} // there are lines
	closing chan struct{}
	closed  chan error
	once    sync.Once

	mu      sync.Mutex // guards the fields below; never held while writing to the file
	pending []byte
	dropped int
}

// Write takes a line; it never waits for the disk.
func (w *batchWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.pending)+len(line) > logPending {
		w.dropped++
	} else {
		w.pending = append(w.pending, line...)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
	return len(line), nil
}

// Close writes what is left and closes the file.
func (w *batchWriter) Close() error {
	var err error
	w.once.Do(func() {
		close(w.closing)
		err = <-w.closed
	})
	return err
}

func (w *batchWriter) run() {
	var spare []byte
	for {
		select {
		case <-w.wake:
		case <-w.closing:
			_, err := w.flush(spare)
			w.closed <- errors.Join(err, w.to.Close())
			return
		}
		select {
		case <-time.After(logBatch):
		case <-w.closing:
		}
		var err error
		if spare, err = w.flush(spare); err != nil {
			// the log itself is what fails: stderr is what is left
			_, _ = os.Stderr.WriteString("hks-gateway: writing the access log: " + err.Error() + "\n")
		}
	}
}

// flush writes what waits and returns its buffer for use again.
func (w *batchWriter) flush(spare []byte) ([]byte, error) {
	w.mu.Lock()
	batch, dropped := w.pending, w.dropped
	w.pending, w.dropped = spare[:0], 0
	w.mu.Unlock()
	if dropped > 0 {
		batch = fmt.Appendf(batch, "{\"dropped\":%d}\n", dropped)
	}
	if len(batch) == 0 {
		return batch, nil
	}
	_, err := w.to.Write(batch)
	if cap(batch) > logPending/8 {
		batch = nil // after a burst the memory goes back
	}
	return batch, err
}
