package build

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

const (
	maxLog     = 16 << 20 // bytes of one build's log; what comes later is not kept
	maxLogRead = 64 << 10 // bytes at a time
)

// journal is the log of one build: JSON lines in a file, which whoever follows
// reads again.
type journal struct {
	path string
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex    // guards the rest
	size    int64         // of the file; -1: not known yet
	changed chan struct{} // closed at the next line
	ended   bool
}

// log returns the journal of a build.
func (m *Manager) log(id int64) *journal {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.logs[id]
	if j == nil {
		j = &journal{
			path: filepath.Join(m.folder(id), logFile), now: m.cfg.Now, log: m.cfg.Log, size: -1, changed: make(chan struct{}),
		}
		m.logs[id] = j
	}
	return j
}

// note adds words of hks's own.
func (j *journal) note(text string) { j.add(agent.BuildLine{Kind: "note", Text: text}) }

// ending is how a build ended, in words.
func ending(status agent.RunStatus) string {
	if status == agent.RunCancelled {
		return "was cancelled"
	}
	return "has " + string(status)
}

// end adds the last line.
func (j *journal) end(b agent.Build) {
	text := "the build " + ending(b.Status)
	if b.Failure != nil {
		text = b.Failure.Message
	}
	j.add(agent.BuildLine{Kind: "note", Text: text, Build: &b})
}

// add appends a line. A log that can't be written does not end the build: it
// is told to the agent's own log.
func (j *journal) add(line agent.BuildLine) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return
	}
	if line.Time.IsZero() {
		line.Time = j.now()
	}
	data, err := json.Marshal(line)
	if err == nil {
		err = j.write(append(data, '\n'), line.Build != nil)
	}
	if err != nil {
		j.log.Warn("a line of a build's log is lost", "file", j.path, "err", err)
	}
	j.ended = line.Build != nil
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) write(data []byte, last bool) error {
	if j.size >= maxLog && !last {
		return nil
	}
	if !last && j.size+int64(len(data)) >= maxLog {
		note, err := json.Marshal(agent.BuildLine{Time: j.now(), Kind: "note", Text: "the rest of the log is not kept"})
		if err != nil {
			return err
		}
		data = append(note, '\n')
	}
	file, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if j.size < 0 {
		if j.size, err = length(file); err != nil {
			return errors.Join(err, file.Close())
		}
		if j.size > 0 && !endsLine(file, j.size) {
			data = append([]byte{'\n'}, data...) // a crash cut the last line
		}
	}
	n, err := file.Write(data)
	j.size += int64(n)
	return errors.Join(err, file.Close())
}

func length(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return -1, err
	}
	return info.Size(), nil
}

func endsLine(file *os.File, size int64) bool {
	last := make([]byte, 1)
	_, err := file.ReadAt(last, size-1)
	return err == nil && last[0] == '\n'
}

// waits returns what is closed at the next line, nil when there is none to come.
func (j *journal) waits() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return nil
	}
	return j.changed
}

// Logs yields the lines of a build's log and, with follow, each as it comes,
// until the build ends or ctx does.
func (m *Manager) Logs(ctx context.Context, id int64, follow bool) iter.Seq2[agent.BuildLine, error] {
	return func(yield func(agent.BuildLine, error) bool) {
		b, err := m.Get(ctx, id)
		if err != nil {
			yield(agent.BuildLine{}, err)
			return
		}
		j := m.log(id)
		from := lines{path: j.path}
		for {
			changed := j.waits()
			last, err := from.read(yield)
			if err != nil {
				yield(agent.BuildLine{}, err)
				return
			}
			if last || !follow || b.Status.Done() || changed == nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

// lines reads a log from where it last ended.
type lines struct {
	path string
	at   int64
}

// read yields the lines that are new; last after the last of all, or when no
// more are wanted.
func (l *lines) read(yield func(agent.BuildLine, error) bool) (last bool, err error) {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opening a build's log: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	if _, err := file.Seek(l.at, io.SeekStart); err != nil {
		return false, fmt.Errorf("reading a build's log: %w", err)
	}
	in := bufio.NewReaderSize(file, maxLogRead)
	for {
		data, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return false, nil // a line that is only half there is read next time
		}
		if err != nil {
			return false, fmt.Errorf("reading a build's log: %w", err)
		}
		l.at += int64(len(data))
		var line agent.BuildLine
		if err := json.Unmarshal(data, &line); err != nil {
			continue // cut off by a crash
		}
		if !yield(line, nil) || line.Build != nil {
			return true, nil
		}
	}
}
