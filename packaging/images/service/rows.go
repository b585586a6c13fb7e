package main

import (
	"bytes"
	"hash"
	"hash/fnv"
	"strconv"
)

// rows counts and hashes the rows of each table in a dump of SQL that goes
// through it. mariadb-dump writes each row as a line of its own:
//
//	CREATE TABLE `notes` (
//	INSERT INTO `notes` VALUES
//	(1,'first'),
//	(2,'second');
//
// A table's checksum is the sum of its rows' hashes: their order is free.
type rows struct {
	found map[string]*Table
	sums  map[string]uint64

	line    []byte   // the begin of the line, as far as it is needed to know what it is
	kind    lineKind // of the line
	table   string   // that rows are of
	row     hash.Hash64
	last    byte // the row's last byte, which is hashed when another comes: the line's end is no part of it
	pending bool
}

type lineKind int

const (
	lineUnknown lineKind = iota
	lineOther
	lineRow
)

// headBytes is more than the begin of any line that says which table comes:
// names have 64 characters at most.
const headBytes = 512

func newRows() *rows {
	return &rows{found: map[string]*Table{}, sums: map[string]uint64{}, row: fnv.New64a()}
}

// Write takes p; it never fails.
func (r *rows) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, ends := p, false
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			part, ends = p[:i], true
			p = p[i+1:]
		} else {
			p = nil
		}
		r.part(part)
		if ends {
			r.end()
		}
	}
	return n, nil
}

// part takes some of a line.
func (r *rows) part(p []byte) {
	if len(p) == 0 {
		return
	}
	if r.kind == lineUnknown && len(r.line) == 0 {
		r.kind = lineOther
		switch {
		case r.table != "" && p[0] == '(':
			r.kind = lineRow
		case p[0] == 'C' || p[0] == 'I':
			r.kind = lineUnknown
		}
	}
	switch r.kind {
	case lineUnknown:
		r.line = append(r.line, p[:min(len(p), headBytes-min(len(r.line), headBytes))]...)
	case lineRow:
		if r.pending {
			_, _ = r.row.Write([]byte{r.last}) // never fails
		}
		_, _ = r.row.Write(p[:len(p)-1])
		r.last, r.pending = p[len(p)-1], true
	}
}

// end takes the end of a line.
func (r *rows) end() {
	switch r.kind {
	case lineRow:
		r.found[r.table].Rows++
		r.sums[r.table] += r.row.Sum64()
		if r.last == ';' {
			r.table = ""
		}
	case lineUnknown:
		if name, ok := named(r.line, "CREATE TABLE `", "` ("); ok {
			r.found[name] = &Table{Name: name}
		}
		if name, ok := named(r.line, "INSERT INTO `", "` VALUES"); ok {
			r.table = name
			if r.found[name] == nil {
				r.found[name] = &Table{Name: name}
			}
		}
	}
	r.kind, r.pending, r.line = lineUnknown, false, r.line[:0]
	r.row.Reset()
}

// named reads the name of a line such as BEFORE name AFTER.
func named(line []byte, before, after string) (string, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(before))
	if !ok {
		return "", false
	}
	name, ok := bytes.CutSuffix(rest, []byte(after))
	return string(bytes.ReplaceAll(name, []byte("``"), []byte("`"))), ok
}

func (r *rows) tables() []Table {
	tables := []Table{}
	for name, t := range r.found {
		t.Checksum = strconv.FormatUint(r.sums[name], 16)
		tables = append(tables, *t)
	}
	sortTables(tables)
	return tables
}
