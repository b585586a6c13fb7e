package ui

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The screens are many small modules, for those who read them. A browser
// wants few: gzip finds little to share in small files, and each level of
// imports costs a turn. So the modules are joined when the handler is made, in
// the order of their imports: each keeps a scope of its own for what is its
// alone, what it exports is known to all. Vendored libraries stay as they are.
//
// What the first screen needs becomes one file. A screen that is imported by
// import() becomes a file of its own, fetched when it is first shown; modules
// that several of those need become one more, so that none is there twice.

// entry is the module that index.html loads; the joined file takes its name.
const entry = "app.js"

// common is the joined file of what several late screens need.
const common = "common.js"

var (
	importLine    = regexp.MustCompile(`(?m)^import (?:\{([^}]*)\}|(\w+)) from '([^']+)';\n`)
	exportLine    = regexp.MustCompile(`(?m)^export (async )?(const|function|class) (\w+)( =)?`)
	dynamicImport = regexp.MustCompile(`\bimport\('([^']+)'\)`)
	leftOver      = regexp.MustCompile(`(?m)^(?:import|export)\b.*$`)

	blockComment = regexp.MustCompile(`(?s)/\*\*.*?\*/[ \t]*`)
	lineComment  = regexp.MustCompile(`(?m)^[ \t]*//.*\n`)
	indent       = regexp.MustCompile(`(?m)^[ \t]+`)
	emptyLine    = regexp.MustCompile(`\n{2,}`)
	styleComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
)

// module is one file as it was written.
type module struct {
	name    string
	text    string
	needs   []reference
	exports []string
	late    []string // modules of ours that it imports by import()
}

// reference is one import line.
type reference struct{ target, names, whole string }

func (r reference) vendored() bool { return path.Dir(r.target) == "vendor" }

// join returns the files that the modules become, by name: the entry, one for
// each late screen, and the common one where it is needed.
func join(source fs.FS) (map[string]string, error) {
	modules := map[string]*module{}
	first, err := reach(source, modules, entry)
	if err != nil {
		return nil, err
	}
	plan, err := divide(source, modules, first)
	if err != nil {
		return nil, err
	}
	owner := map[string]string{} // which file has what a module exports
	for file, members := range plan {
		for _, member := range members {
			owner[member] = file
		}
	}
	joined := map[string]string{}
	for file, members := range plan {
		if joined[file], err = write(file, members, modules, owner); err != nil {
			return nil, err
		}
	}
	return joined, unique(modules)
}

// divide says which modules make up which file, each in the order of imports.
func divide(source fs.FS, modules map[string]*module, first []string) (map[string][]string, error) {
	plan := map[string][]string{entry: first}
	var screens []string
	for queue := slices.Clone(first); len(queue) > 0; queue = queue[1:] {
		for _, late := range modules[queue[0]].late {
			if slices.Contains(first, late) {
				return nil, fmt.Errorf("%s imports %s late, but it is needed at once", queue[0], late)
			}
			if _, met := plan[late]; met {
				continue
			}
			members, err := reach(source, modules, late)
			if err != nil {
				return nil, err
			}
			members = slices.DeleteFunc(members, func(name string) bool { return slices.Contains(first, name) })
			plan[late], screens, queue = members, append(screens, late), append(queue, members...)
		}
	}
	slices.Sort(screens)
	users := map[string]int{}
	for _, screen := range screens {
		for _, member := range plan[screen] {
			users[member]++
		}
	}
	shared := func(name string) bool { return users[name] > 1 }
	for _, screen := range screens {
		for _, member := range plan[screen] {
			if shared(member) && !slices.Contains(plan[common], member) {
				plan[common] = append(plan[common], member)
			}
		}
		plan[screen] = slices.DeleteFunc(plan[screen], shared)
	}
	return plan, nil
}

// reach returns the modules that one needs at once, itself the last, each
// after those it imports; those met for the first time are read.
func reach(source fs.FS, modules map[string]*module, name string) ([]string, error) {
	var order []string
	done := map[string]bool{} // false while the imports of a module are looked at
	var visit func(string) error
	visit = func(name string) error {
		if finished, met := done[name]; met {
			if !finished {
				return fmt.Errorf("%s imports itself by way of others", name)
			}
			return nil
		}
		done[name] = false
		m, err := read(source, modules, name)
		if err != nil {
			return err
		}
		for _, need := range m.needs {
			if need.vendored() {
				continue
			}
			if err := visit(need.target); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		done[name] = true
		order = append(order, name)
		return nil
	}
	return order, visit(name)
}

func read(source fs.FS, modules map[string]*module, name string) (*module, error) {
	if m, ok := modules[name]; ok {
		return m, nil
	}
	content, err := fs.ReadFile(source, name)
	if err != nil {
		return nil, fmt.Errorf("joining the screens: %w", err)
	}
	m := &module{name: name, text: string(content)}
	for _, match := range importLine.FindAllStringSubmatch(m.text, -1) {
		need := reference{resolve(name, match[3]), match[1], match[2]}
		if !need.vendored() && (need.whole != "" || strings.Contains(need.names, " as ")) {
			return nil, fmt.Errorf("%s: what %s exports goes by one name everywhere", name, need.target)
		}
		m.needs = append(m.needs, need)
	}
	for _, match := range exportLine.FindAllStringSubmatch(m.text, -1) {
		m.exports = append(m.exports, match[3])
	}
	for _, match := range dynamicImport.FindAllStringSubmatch(blockComment.ReplaceAllString(m.text, ""), -1) {
		if target := resolve(name, match[1]); path.Dir(target) != "vendor" {
			m.late = append(m.late, target)
		}
	}
	modules[name] = m
	return m, nil
}

// unique holds that a name is one thing in all files: the writer of a module
// need not know which of them it comes to.
func unique(modules map[string]*module) error {
	from := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		for _, exported := range modules[name].exports {
			if other, taken := from[exported]; taken {
				return fmt.Errorf("%s is two things: of %s and of %s", exported, other, name)
			}
			from[exported] = name
		}
	}
	return nil
}

// write makes one file of its modules.
func write(file string, members []string, modules map[string]*module, owner map[string]string) (string, error) {
	j := &joiner{file: file, owner: owner, known: map[string]string{}, fetched: map[string][]string{}}
	for _, name := range members {
		if err := j.add(modules[name]); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return j.text(), nil
}

// joiner puts modules into one file.
type joiner struct {
	file      string
	owner     map[string]string   // file of each module
	out       strings.Builder     // the modules' own text
	libraries []string            // vendored modules
	fetched   map[string][]string // names that other files have
	exports   []string            // names that the modules export
	known     map[string]string   // what each name at the top of the file is
}

func (j *joiner) add(m *module) error {
	for _, need := range m.needs {
		var err error
		if need.vendored() {
			err = j.library(need)
		} else {
			err = j.need(need)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range m.exports {
		if err := j.know(name, "module "+m.name); err != nil {
			return err
		}
		j.exports = append(j.exports, name)
	}
	text, err := scope(j.file, m.name, m.text)
	if err != nil {
		return err
	}
	fmt.Fprintf(&j.out, "{\n%s}\n", text)
	return nil
}

// need notes the names of a module that another file has.
func (j *joiner) need(r reference) error {
	for _, name := range strings.Split(r.names, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if err := j.know(name, "module "+r.target); err != nil {
			return err
		}
		if from := j.owner[r.target]; from != j.file && !slices.Contains(j.fetched[from], name) {
			j.fetched[from] = append(j.fetched[from], name)
		}
	}
	return nil
}

// library notes names, or the whole, of a vendored module.
func (j *joiner) library(r reference) error {
	library := slices.Index(j.libraries, r.target)
	if library < 0 {
		library = len(j.libraries)
		j.libraries = append(j.libraries, r.target)
	}
	if r.whole != "" {
		return j.know(r.whole, fmt.Sprintf("library library%d.default", library))
	}
	for _, wanted := range strings.Split(r.names, ",") {
		exported, as, renamed := strings.Cut(strings.TrimSpace(wanted), " as ")
		if !renamed {
			as = exported
		}
		if err := j.know(as, fmt.Sprintf("library library%d.%s", library, exported)); err != nil {
			return err
		}
	}
	return nil
}

// know keeps what a name is in this file; it can't be two things.
func (j *joiner) know(name, what string) error {
	if other, taken := j.known[name]; taken && other != what {
		return fmt.Errorf("%s is two things: %s and %s", name, other, what)
	}
	j.known[name] = what
	return nil
}

func (j *joiner) text() string {
	var out strings.Builder
	for i, library := range j.libraries {
		fmt.Fprintf(&out, "import * as library%d from '%s';\n", i, between(j.file, library))
	}
	for _, from := range slices.Sorted(maps.Keys(j.fetched)) {
		fmt.Fprintf(&out, "import { %s } from '%s';\n", strings.Join(slices.Sorted(slices.Values(j.fetched[from])), ","), between(j.file, from))
	}
	for _, name := range slices.Sorted(maps.Keys(j.known)) {
		if library, isLibrary := strings.CutPrefix(j.known[name], "library "); isLibrary {
			fmt.Fprintf(&out, "const %s = %s;\n", name, library)
		}
	}
	if names := strings.Join(j.exports, ","); names != "" {
		fmt.Fprintf(&out, "let %s;\nexport { %s };\n", names, names)
	}
	out.WriteString(j.out.String())
	return out.String()
}

// scope turns the text of a module into that of a block in a file.
func scope(file, name, text string) (string, error) {
	text = importLine.ReplaceAllString(text, "")
	text = exportLine.ReplaceAllStringFunc(text, func(begin string) string {
		match := exportLine.FindStringSubmatch(begin)
		if match[2] == "const" {
			return match[3] + " ="
		}
		return match[3] + " = " + match[1] + match[2] + map[string]string{"class": " " + match[3]}[match[2]]
	})
	text = dynamicImport.ReplaceAllStringFunc(text, func(call string) string {
		return fmt.Sprintf("import('%s')", between(file, resolve(name, dynamicImport.FindStringSubmatch(call)[1])))
	})
	if line := leftOver.FindString(text); line != "" {
		return "", fmt.Errorf("%q is in no form that can be joined", line)
	}
	return squeeze(text), nil
}

// resolve returns the path of what a module imports.
func resolve(from, target string) string { return path.Join(path.Dir(from), target) }

// between returns how one file refers to another.
func between(from, to string) string {
	if dir := path.Dir(from); dir != "." {
		return strings.Repeat("../", 1+strings.Count(dir, "/")) + to
	}
	return "./" + to
}

// squeeze takes out what only readers need: comments that begin a line or are
// JSDoc, and indentation, which means nothing in the templates either.
func squeeze(script string) string {
	script = blockComment.ReplaceAllString(script, "")
	script = lineComment.ReplaceAllString(script, "")
	script = indent.ReplaceAllString(script, "")
	return strings.TrimPrefix(emptyLine.ReplaceAllString(script, "\n"), "\n")
}

// squeezeStyle does the same for a style sheet.
func squeezeStyle(sheet string) string {
	sheet = styleComment.ReplaceAllString(sheet, "")
	sheet = indent.ReplaceAllString(sheet, "")
	return strings.TrimPrefix(emptyLine.ReplaceAllString(sheet, "\n"), "\n")
}
