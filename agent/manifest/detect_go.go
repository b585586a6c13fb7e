package manifest

import (
	"bufio"
	"path"
	"slices"
	"strings"
)

var (
	goModule  = lazily(`(?m)^module\s+"?([^\s"]{1,200})"?`)
	goVersion = lazily(`(?m)^go\s+(\d+\.\d+(?:\.\d+)?)`)
	goPort    = []pattern{
		lazily(`"(?:0\.0\.0\.0|\[::\])?:(\d{2,5})"`),
		lazily(`(?i)\w*port\w*"?\s*(?::=|=|,|:)\s*"?(\d{2,5})`),
	}
	goServes = lazily(`\.ListenAndServe(?:TLS)?\(|\bnet\.Listen\(|\bhttp\.Serve\(|gin\.(?:Default|New)\(|echo\.New\(|fiber\.New\(`)
)

func detectGo(f folder) (*Detection, error) {
	mod, ok, err := f.read("go.mod")
	if !ok || err != nil {
		return nil, err
	}
	module := ""
	if m := goModule().FindStringSubmatch(mod); m != nil {
		module = m[1]
	}
	mains := goMains(f)
	if len(mains) == 0 {
		return nil, nil // a library
	}
	d := &Detection{Template: TemplateGo, Kind: KindBackend, GoMain: preferredMain(mains, path.Base(module))}
	d.found("go.mod: the Go module %s", module)
	d.found("%s: package main", d.GoMain)
	if len(mains) > 1 {
		d.found("further mains: %s", strings.Join(slices.DeleteFunc(slices.Clone(mains), func(m string) bool { return m == d.GoMain }), ", "))
	}
	if m := goVersion().FindStringSubmatch(mod); m != nil {
		d.Version = m[1]
	}
	d.StartCommand = nil // the binary that is built
	d.goSources(f)
	return d, nil
}

// goMains lists the packages that make a program, as arguments of go build.
func goMains(f folder) []string {
	if isMain(f, ".") {
		return append([]string{"."}, commands(f)...)
	}
	if mains := commands(f); len(mains) > 0 {
		return mains
	}
	var mains []string
	for _, dir := range f.dirs(".") {
		if isMain(f, dir) {
			mains = append(mains, "./"+dir)
		}
	}
	return mains
}

func commands(f folder) []string {
	var mains []string
	for _, dir := range append([]string{"cmd"}, f.dirs("cmd")...) {
		if isMain(f, dir) {
			mains = append(mains, "./"+dir)
		}
	}
	return mains
}

func preferredMain(mains []string, module string) string {
	for _, name := range []string{".", module, "server", "api", "app", "web", "backend"} {
		for _, main := range mains {
			if path.Base(main) == name {
				return main
			}
		}
	}
	return mains[0]
}

// isMain tells whether go build would make a program of a folder's files.
func isMain(f folder, dir string) bool {
	for _, name := range f.files(dir, ".go") {
		if !strings.HasSuffix(name, "_test.go") && packageName(f.glance(name)) == "main" {
			return true
		}
	}
	return false
}

// packageName reads a file's package clause; "" for one that a constraint
// keeps out of every build.
func packageName(source string) string {
	lines := bufio.NewScanner(strings.NewReader(source))
	lines.Buffer(nil, maxFileBytes+1)
	comment := false
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case comment:
			comment = !strings.Contains(line, "*/")
		case strings.HasPrefix(line, "/*"):
			comment = !strings.Contains(line, "*/")
		case line == "//go:build ignore":
			return ""
		case strings.HasPrefix(line, "package "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "package "), "//")
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// goSources looks through the files for tests, and for what listens where:
// first in the package that is built, then in the others.
func (d *Detection) goSources(f folder) {
	files := append(f.files(path.Clean(d.GoMain), ".go"), f.sources(".go")...)
	serves := ""
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			if d.TestCommand == nil {
				d.TestCommand = []string{"go", "test", "./..."}
				d.found("%s: tests", name)
			}
			continue
		}
		source := f.glance(name)
		if serves == "" && goServes().MatchString(source) {
			serves = name
		}
		if port := portIn(source, goPort...); port > 0 && d.Port == 0 {
			d.listens(port, name)
		}
	}
	switch {
	case serves == "":
		d.Kind, d.Port = KindWorker, 0
		d.found("nothing in it listens: a worker")
	case d.Port == 0:
		d.found("%s: it listens", serves)
		d.listens(0, "")
	}
}
