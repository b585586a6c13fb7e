package manifest

import (
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
)

// Bounds of what detection looks at.
const (
	maxFileBytes   = 1 << 20 // of a file that must be understood
	maxGlanceBytes = 128 << 10
	maxEntries     = 1000 // of one folder
	maxSourceFiles = 300  // in which a pattern is looked for
)

// folder looks into a folder of source, within bounds. Only regular files are
// read: anything else may block or never end.
type folder struct{ fs.FS }

// has tells whether a regular file of that name is there.
func (f folder) has(name string) bool {
	info, err := fs.Stat(f.FS, name)
	return err == nil && info.Mode().IsRegular()
}

// first returns the first of the names that is there, "" for none.
func (f folder) first(names ...string) string {
	i := slices.IndexFunc(names, f.has)
	if i < 0 {
		return ""
	}
	return names[i]
}

// read returns a file's text; ok is false when it is not there.
func (f folder) read(name string) (text string, ok bool, err error) {
	data, ok, err := f.readUpTo(name, maxFileBytes+1)
	if len(data) > maxFileBytes {
		return "", false, agent.Errorf(agent.CodeInvalid, "make it smaller, or write "+FileName+" yourself", "%s has more than %d bytes", name, maxFileBytes)
	}
	return strings.TrimPrefix(string(data), "\ufeff"), ok, err
}

// readUpTo returns the first bytes of a file; ok is false when it is not there.
func (f folder) readUpTo(name string, bytes int64) (data []byte, ok bool, err error) {
	if !f.has(name) {
		return nil, false, nil
	}
	file, err := f.Open(name)
	if err != nil {
		return nil, false, unreadable(name, err)
	}
	defer func() { _ = file.Close() }() // only read from
	data, err = io.ReadAll(io.LimitReader(file, bytes))
	if err != nil {
		return nil, false, unreadable(name, err)
	}
	return data, true, nil
}

func unreadable(name string, err error) error {
	return agent.Errorf(agent.CodeInvalid, "give yourself the right to read it", "%s can't be read: %w", name, err)
}

// glance returns the begin of a file that is only a hint: no file, no hint.
func (f folder) glance(name string) string {
	data, _, err := f.readUpTo(name, maxGlanceBytes)
	if err != nil {
		return ""
	}
	return string(data)
}

// entries lists a folder in alphabetical order, within bounds; what can't be
// read is as good as empty.
func (f folder) entries(dir string) []fs.DirEntry {
	file, err := f.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // only read from
	list, ok := file.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	entries, _ := list.ReadDir(maxEntries) // what was read before an error counts
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries
}

// dirs lists the folders in a folder that may hold source of the project.
func (f folder) dirs(dir string) []string {
	var names []string
	for _, e := range f.entries(dir) {
		name := path.Join(dir, e.Name())
		if _, clean := insidePath(name); clean && e.IsDir() && !ignored(e.Name()) {
			names = append(names, name)
		}
	}
	return names
}

// files lists the regular files of a folder whose names end in suffix.
func (f folder) files(dir, suffix string) []string {
	var names []string
	for _, e := range f.entries(dir) {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

// sources lists files by suffix in the folder and up to three levels below,
// within bounds.
func (f folder) sources(suffix string) []string {
	var names []string
	level := []string{"."}
	for depth := 0; depth < 4 && len(level) > 0; depth++ {
		var below []string
		for _, dir := range level[:min(len(level), maxSourceFiles)] {
			names = append(names, f.files(dir, suffix)...)
			below = append(below, f.dirs(dir)...)
			if len(names) >= maxSourceFiles {
				return names[:maxSourceFiles]
			}
		}
		level = below
	}
	return names
}

// elsewhere are folders that hold no component of their own: what others
// wrote, what was built, and what only helps.
var elsewhere = []string{
	"node_modules", "bower_components", "vendor", "third_party", "site-packages", "__pycache__", "venv", "env",
	"dist", "build", "out", "target", "coverage", "tmp", "temp", "public", "assets",
	"test", "tests", "__tests__", "testdata", "fixtures", "__fixtures__", "__mocks__", "e2e", "cypress", "spec",
	"doc", "docs", "example", "examples", "sample", "samples", "script", "scripts", "tools", "hack", "migrations",
}

func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains(elsewhere, strings.ToLower(name))
}

// others are ports of databases, queues and mail, which source names because
// it calls them.
var others = []int{465, 587, 1025, 1433, 2525, 3306, 5432, 5672, 6379, 9092, 11211, 27017}

// portIn finds a port in a text by patterns whose first group it is.
func portIn(text string, patterns ...pattern) int {
	for _, pattern := range patterns {
		for _, m := range pattern().FindAllStringSubmatch(text, 20) {
			if port, err := strconv.Atoi(m[1]); err == nil && port >= 80 && port <= 65535 && !slices.Contains(others, port) {
				return port
			}
		}
	}
	return 0
}
