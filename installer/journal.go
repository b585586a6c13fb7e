package installer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Change is one change to the machine.
type Change struct {
	Kind   string  `json:"kind"`             // which step makes and undoes it
	Target string  `json:"target"`           // what is changed
	Before *string `json:"before,omitempty"` // what was there; nil is nothing
	After  string  `json:"after,omitempty"`  // what is there then
}

// entry is a line of the journal: a change about to be made, or one undone.
type entry struct {
	ID     int       `json:"id"`
	Time   time.Time `json:"time"`
	Op     string    `json:"op"` // apply, undone
	Change *Change   `json:"change,omitempty"`
}

// Journal keeps the changes made to the machine in a file of lines. A change
// is on disk before it is made.
type Journal struct {
	path    string
	file    *os.File
	next    int
	pending []entry // made, or about to be, and not undone; oldest first
}

// OpenJournal reads the journal at path, or begins one.
func OpenJournal(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	j, whole, err := parseJournal(path)
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	_, err = j.file.Seek(whole, 0)
	if err := errors.Join(j.file.Truncate(whole), err); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", errors.Join(err, j.file.Close()))
	}
	return j, nil
}

// readJournal reads the journal at path for whoever only looks at it.
func readJournal(path string) (*Journal, error) {
	j, _, err := parseJournal(path)
	return j, err
}

// parseJournal reads a journal, and how many bytes of its file are whole lines.
func parseJournal(path string) (*Journal, int64, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("opening the journal: %w", err)
	}
	j := &Journal{path: path, next: 1}
	whole := data[:bytes.LastIndexByte(data, '\n')+1] // what follows was cut short by a crash: its change was not made
	lines := bufio.NewScanner(bytes.NewReader(whole))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if err := j.replay(lines.Bytes()); err != nil {
			return nil, 0, fmt.Errorf("reading the journal %s, line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, 0, fmt.Errorf("reading the journal %s: %w", path, err)
	}
	return j, int64(len(whole)), nil
}

func (j *Journal) replay(line []byte) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	switch {
	case e.Op == "apply" && e.Change != nil:
		j.pending = append(j.pending, e)
	case e.Op == "undone":
		j.pending = slices.DeleteFunc(j.pending, func(p entry) bool { return p.ID == e.ID })
	default:
		return fmt.Errorf("unknown entry %q", e.Op)
	}
	j.next = max(j.next, e.ID+1)
	return nil
}

// Record puts a change on disk; it may be made when this returns.
func (j *Journal) Record(c Change) error {
	e := entry{ID: j.next, Time: time.Now().UTC(), Op: "apply", Change: &c}
	if err := j.write(e); err != nil {
		return err
	}
	j.next++
	j.pending = append(j.pending, e)
	return nil
}

// Has tells whether a change of this kind and target is to be undone one day.
func (j *Journal) Has(kind, target string) bool {
	return slices.ContainsFunc(j.pending, func(e entry) bool { return e.Change.Kind == kind && e.Change.Target == target })
}

// Undo calls undo for each change, the last first, and strikes out those that
// succeed. Every change gets its chance.
func (j *Journal) Undo(undo func(Change) error) error {
	var failed []error
	for _, e := range slices.Backward(slices.Clone(j.pending)) {
		if err := undo(*e.Change); err != nil {
			failed = append(failed, fmt.Errorf("undoing %s %s: %w", e.Change.Kind, e.Change.Target, err))
			continue
		}
		if err := j.strike(e); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (j *Journal) strike(e entry) error {
	if err := j.write(entry{ID: e.ID, Time: time.Now().UTC(), Op: "undone"}); err != nil {
		return err
	}
	j.pending = slices.DeleteFunc(j.pending, func(p entry) bool { return p.ID == e.ID })
	return nil
}

func (j *Journal) write(e entry) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// Close closes the journal, and removes it when nothing is left to undo.
func (j *Journal) Close() error {
	err := j.file.Close()
	if len(j.pending) == 0 {
		err = errors.Join(err, os.Remove(j.path))
	}
	if err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	return nil
}
