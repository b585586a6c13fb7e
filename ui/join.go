package ui

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// The screens are many small modules, for those who read them. A browser
// wants few: gzip finds little to share in small files, and each level of
// imports costs a turn. So the modules are joined when the handler is made:
// each keeps a scope of its own, in the order of their imports. Vendored
// libraries stay as they are.

// entry is the module that index.html loads; the joined file takes its name.
const entry = "app.js"

var (
	importLine    = regexp.MustCompile(`(?m)^import (?:\{([^}]*)\}|\* as (\w+)|(\w+)) from '([^']+)';\n`)
	exportLine    = regexp.MustCompile(`(?m)^export (?:async )?(?:const|function|class) (\w+)`)
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
	libraries []string          // vendored modules, by number
	names     map[string]string // the variable that holds a module's exports, by its path
	open      map[string]bool   // modules whose imports are being joined, for cycles
}

// join returns the module called entry with all that it imports.
func join(source fs.FS) (string, error) {
	j := &joiner{source: source, names: map[string]string{}, open: map[string]bool{}}
	if err := j.add(entry); err != nil {
		return "", err
	}
	var head strings.Builder
	for i, library := range j.libraries {
		fmt.Fprintf(&head, "import * as library%d from './%s';\n", i, library)
	}
	return head.String() + j.out.String(), nil
}

func (j *joiner) add(name string) error {
	if _, done := j.names[name]; done {
		return nil
	}
	if path.Dir(name) == "vendor" {
		j.names[name] = fmt.Sprintf("library%d", len(j.libraries))
		j.libraries = append(j.libraries, name)
		return nil
	}
	if j.open[name] {
		return fmt.Errorf("%s imports itself by way of others", name)
	}
	j.open[name] = true
	content, err := fs.ReadFile(j.source, name)
	if err != nil {
		return fmt.Errorf("joining the screens: %w", err)
	}
	text := string(content)
	for _, match := range importLine.FindAllStringSubmatch(text, -1) {
		if err := j.add(resolve(name, match[4])); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var exports []string
	for _, match := range exportLine.FindAllStringSubmatch(text, -1) {
		exports = append(exports, match[1])
	}
	text, err = j.scope(name, text)
	if err != nil {
		return err
	}
	j.names[name] = fmt.Sprintf("module%d", len(j.names))
	fmt.Fprintf(&j.out, "const %s = {};\n{\n%sObject.assign(%s, { %s });\n}\n", j.names[name], text, j.names[name], strings.Join(exports, ", "))
	return nil
}

// scope turns the text of a module into that of a block.
func (j *joiner) scope(name, text string) (string, error) {
	text = importLine.ReplaceAllStringFunc(text, func(line string) string {
		match := importLine.FindStringSubmatch(line)
		exports := j.names[resolve(name, match[4])]
		switch {
		case match[2] != "":
			return fmt.Sprintf("const %s = %s;\n", match[2], exports)
		case match[3] != "":
			return fmt.Sprintf("const %s = %s.default;\n", match[3], exports)
		}
		return fmt.Sprintf("const {%s} = %s;\n", strings.ReplaceAll(match[1], " as ", ": "), exports)
	})
	text = exportLine.ReplaceAllStringFunc(text, func(begin string) string { return strings.TrimPrefix(begin, "export ") })
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
