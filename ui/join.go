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

// entry is the module that index.html loads; the joined file takes its name.
const entry = "app.js"

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

// joiner puts modules into one.
type joiner struct {
	source    fs.FS
	out       strings.Builder
	libraries []string          // vendored modules
	exports   []string          // names that the modules export
	from      map[string]string // what each name that all know is, and of which module
	done      map[string]bool   // modules that are joined; false while their imports are
}

// join returns the module called entry with all that it imports.
func join(source fs.FS) (string, error) {
	j := &joiner{source: source, from: map[string]string{}, done: map[string]bool{}}
	if err := j.add(entry); err != nil {
		return "", err
	}
	var head strings.Builder
	for i, library := range j.libraries {
		fmt.Fprintf(&head, "import * as library%d from './%s';\n", i, library)
	}
	for _, name := range slices.Sorted(maps.Keys(j.from)) {
		if library, isLibrary := strings.CutPrefix(j.from[name], "library "); isLibrary {
			fmt.Fprintf(&head, "const %s = %s;\n", name, library)
		}
	}
	fmt.Fprintf(&head, "let %s;\n", strings.Join(j.exports, ","))
	return head.String() + j.out.String(), nil
}

func (j *joiner) add(name string) error {
	if done, met := j.done[name]; met {
		if !done {
			return fmt.Errorf("%s imports itself by way of others", name)
		}
		return nil
	}
	j.done[name] = false
	content, err := fs.ReadFile(j.source, name)
	if err != nil {
		return fmt.Errorf("joining the screens: %w", err)
	}
	text := string(content)
	for _, match := range importLine.FindAllStringSubmatch(text, -1) {
		if err := j.need(resolve(name, match[3]), match[1], match[2]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, match := range exportLine.FindAllStringSubmatch(text, -1) {
		if err := j.know(match[3], "module "+name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		j.exports = append(j.exports, match[3])
	}
	if text, err = scope(name, text); err != nil {
		return err
	}
	j.done[name] = true
	fmt.Fprintf(&j.out, "{\n%s}\n", text)
	return nil
}

// need sees to it that what a module imports is known: names from one of ours,
// or names or the whole of a library.
func (j *joiner) need(target, names, whole string) error {
	ours := path.Dir(target) != "vendor"
	if ours {
		if whole != "" || strings.Contains(names, " as ") {
			return fmt.Errorf("what %s exports goes by one name everywhere", target)
		}
		return j.add(target)
	}
	library := slices.Index(j.libraries, target)
	if library < 0 {
		library = len(j.libraries)
		j.libraries = append(j.libraries, target)
	}
	if whole != "" {
		return j.know(whole, fmt.Sprintf("library library%d.default", library))
	}
	for _, wanted := range strings.Split(names, ",") {
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

// know keeps what a name is that all know; it can't be two things.
func (j *joiner) know(name, what string) error {
	if other, taken := j.from[name]; taken && other != what {
		return fmt.Errorf("%s is two things: %s and %s", name, other, what)
	}
	j.from[name] = what
	return nil
}

// scope turns the text of a module into that of a block.
func scope(name, text string) (string, error) {
	text = importLine.ReplaceAllString(text, "")
	text = exportLine.ReplaceAllStringFunc(text, func(begin string) string {
		match := exportLine.FindStringSubmatch(begin)
		if match[2] == "const" {
			return match[3] + " ="
		}
		return match[3] + " = " + match[1] + match[2] + map[string]string{"class": " " + match[3]}[match[2]]
	})
	text = dynamicImport.ReplaceAllStringFunc(text, func(call string) string {
		return fmt.Sprintf("import('./%s')", resolve(name, dynamicImport.FindStringSubmatch(call)[1]))
	})
	if line := leftOver.FindString(text); line != "" {
		return "", fmt.Errorf("%s: %q is in no form that can be joined", name, line)
	}
	return squeeze(text), nil
}

// resolve returns the path of what a module imports.
func resolve(from, target string) string { return path.Join(path.Dir(from), target) }

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
