package manifest

import (
	"path"
	"strings"
)

// inside checks a path that must stay in the project, and makes it clean and
// relative: "./api/" becomes "api". The file system has its own word on links.
func (r *reader) inside(t *text, what string) {
	clean, ok := insidePath(t.value)
	if !ok {
		r.add(t.place, "give a path below the folder of "+FileName+", with slashes and without ..", "%q is not %s of the project", shown(t.value), what)
		return
	}
	t.value = clean
}

func insidePath(name string) (clean string, ok bool) {
	if name == "" || len(name) > maxPathBytes || name[0] == '/' || strings.ContainsRune(name, '\\') {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			return "", false
		}
	}
	return path.Clean(name), true
}
