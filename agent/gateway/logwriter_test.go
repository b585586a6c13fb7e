package gateway

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
)

// slowFile is a file whose disk is busy until it is let go.
type slowFile struct {
	bytes.Buffer
	busy   chan struct{}
	closed bool
}

func (f *slowFile) Write(p []byte) (int, error) {
	<-f.busy
	return f.Buffer.Write(p)
}

func (f *slowFile) Close() error {
	f.closed = true
	return nil
}

func TestLogNeverWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &slowFile{busy: make(chan struct{})}
		w := &batchWriter{to: file, wake: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan error, 1)}
		go w.run()
		line := []byte(strings.Repeat("x", 1<<10-1) + "\n")
		const lines = 3 * logPending >> 10
		for range lines {
			if n, err := w.Write(line); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		synctest.Wait()
		close(file.busy)
		if err := w.Close(); err != nil || !file.closed {
			t.Error("not closed", err)
		}
		_ = w.Close() // twice is fine
		text := file.String()
		if got := strings.Count(text, "x\n"); got != logPending>>10 {
			t.Errorf("%d lines are written, want the %d that could wait", got, logPending>>10)
		}
		if !strings.Contains(text, `{"dropped":8192}`) {
			t.Errorf("the dropped lines are not told: %q", text[max(0, len(text)-100):])
		}
	})
}
