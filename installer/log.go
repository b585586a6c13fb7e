package installer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// logFile is where what the installer said can be read afterwards.
func (m *machine) logFile() string { return m.paths.State("installer.log") }

const logLimit = 1 << 20 // bytes; beyond it the file begins again, and one before it is kept

// keepLog has what m says written to the log file too, until the returned
// function is called.
func (m *machine) keepLog(verb string) (func(), error) {
	file := m.logFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Size() > logLimit {
		if err := os.Rename(file, file+".1"); err != nil {
			return nil, fmt.Errorf("opening the log: %w", err)
		}
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	before := m.err
	m.log = &stamped{to: f, verb: verb}
	m.err = io.MultiWriter(before, m.log)
	m.logOnly("begins, hks-installer %s", m.cfg.Version)
	return func() {
		m.err, m.log = before, nil
		_ = f.Close() // what was said is on the screen as well
	}, nil
}

// logOnly writes a line to the log file, where one is kept.
func (m *machine) logOnly(format string, args ...any) {
	if m.log != nil {
		fmt.Fprintf(m.log, format+"\n", args...)
	}
}

// stamped writes lines with the time and the verb before them.
type stamped struct {
	to   io.Writer
	verb string
}

func (s *stamped) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if _, err := fmt.Fprintf(s.to, "%s %s: %s\n", time.Now().UTC().Format(time.RFC3339), s.verb, bytes.TrimRight(line, "\n")); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
