package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
)

// Contents says what is in an archive, so that what was restored from it can
// be compared with what was there.
type Contents struct {
	SHA256 string  `json:"sha256"` // of the archive, in hex
	Bytes  int64   `json:"bytes"`  // of the archive
	Tables []Table `json:"tables"` // by name

	Restarts bool `json:"restarts,omitempty"` // after a restore: the server is started anew for it
}

// Table is one table, or what comes closest to it.
type Table struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum,omitempty"` // of all rows, whatever their order; empty: the engine has none
}

// differs says in which way two contents differ; "" when they don't.
func differs(want, got []Table) string {
	byName := map[string]Table{}
	for _, t := range got {
		byName[t.Name] = t
	}
	for _, w := range want {
		g, ok := byName[w.Name]
		switch {
		case !ok:
			return fmt.Sprintf("the table %s is missing", w.Name)
		case g.Rows != w.Rows:
			return fmt.Sprintf("the table %s has %d rows, not %d", w.Name, g.Rows, w.Rows)
		case g.Checksum != w.Checksum:
			return fmt.Sprintf("the rows of the table %s are not those that were saved", w.Name)
		}
		delete(byName, w.Name)
	}
	for name := range byName {
		return fmt.Sprintf("there is a table %s that was not saved", name)
	}
	return ""
}

// measured counts and hashes what goes through it.
type measured struct {
	hash  hash.Hash
	bytes int64
}

func newMeasured() *measured { return &measured{hash: sha256.New()} }

// Write takes p; it never fails.
func (m *measured) Write(p []byte) (int, error) {
	m.bytes += int64(len(p))
	return m.hash.Write(p)
}

func (m *measured) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }

func backup(ctx context.Context, e engine, out, told io.Writer) error {
	m := newMeasured()
	contents, err := e.backup(ctx, io.MultiWriter(out, m))
	if err != nil {
		return err
	}
	contents.SHA256, contents.Bytes = m.sum(), m.bytes
	line, err := json.Marshal(contents)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(told, "\n%s\n", line)
	return err
}

func restore(ctx context.Context, e engine, in io.Reader, told io.Writer) error {
	buffered := bufio.NewReaderSize(in, 64<<10)
	line, err := buffered.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading what the archive is to be: %w", err)
	}
	var want Contents
	if err := json.Unmarshal(line, &want); err != nil {
		return fmt.Errorf("reading what the archive is to be: %w", err)
	}
	got, then, err := e.restore(ctx, want, buffered)
	if err != nil {
		return err
	}
	got.Restarts = then != nil
	if err := json.NewEncoder(told).Encode(got); err != nil || then == nil {
		return err
	}
	return then()
}

// whole checks that an archive that went through m is the one that was wanted.
func (m *measured) whole(want Contents) error {
	if m.bytes != want.Bytes || m.sum() != want.SHA256 {
		return fmt.Errorf("the archive is damaged: %d bytes with the checksum %.12s came, not %d bytes with %.12s", m.bytes, m.sum(), want.Bytes, want.SHA256)
	}
	return nil
}

func sortTables(tables []Table) {
	slices.SortFunc(tables, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
}
