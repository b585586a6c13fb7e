// Package manifest reads hks.yaml, the file in which a project says what its
// components are and how they are built and run, and writes a first one for a
// folder of source.
//
// Both the file and the folder come from repositories that anyone may have
// written: their text is hostile. Sizes are bounded, aliases are refused,
// every value passes a closed grammar, nothing is ever handed to a shell, and
// no path leaves the project.
package manifest

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// FileName is the name of the file, in the project's first folder.
const FileName = "hks.yaml"

// MaxBytes bounds the file.
const MaxBytes = 256 << 10

// Project is a file that has passed every check.
type Project struct {
	App string // the name of the app, unless the user gives another

	document document
}

// Parse reads the file. Its error is an agent.Error with the code INVALID that
// tells up to ten problems, one a line, each with its place first; Details has
// them as a list of Problem under "problems".
func Parse(data []byte) (*Project, error) {
	r := &reader{}
	root := parseTree(r, data)
	if err := r.err(); err != nil {
		return nil, err
	}
	p := &Project{}
	d := &p.document
	d.read(r, placeOf(root, ""), root)
	d.checkNames(r)
	for _, env := range environments {
		d.resolve(env).check(r)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	p.App = d.App.value
	return p, nil
}

// Components returns the components as they are in one environment, sorted by
// name. The error is for an environment that does not exist.
func (p *Project) Components(env agent.Environment) ([]Component, error) {
	env, err := agent.ParseEnvironment(string(env))
	if err != nil {
		return nil, err
	}
	all := p.document.resolve(env)
	list := make([]Component, 0, len(all))
	for _, name := range p.document.Components.sorted() {
		list = append(list, all.component(name))
	}
	return list, nil
}

// parseTree reads the one YAML document that the file is.
func parseTree(r *reader, data []byte) *yaml.Node {
	start := place{line: 1, column: 1}
	switch {
	case len(data) > MaxBytes:
		r.add(start, "keep data out of it", "the file has %d bytes, %d are allowed", len(data), MaxBytes)
		return nil
	case !utf8.Valid(data):
		r.add(start, "save it as UTF-8", "the file is not text in UTF-8")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF), err == nil && isEmpty(&doc):
		r.add(start, "write one with hks init", "the file is empty")
		return nil
	case err != nil:
		r.add(syntaxPlace(err), "correct the line; lists and keys are indented by spaces", "not valid YAML: %s", syntaxWords(err))
		return nil
	}
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.add(syntaxPlace(err), "correct the line; lists and keys are indented by spaces", "not valid YAML: %s", syntaxWords(err))
		return nil
	default:
		r.add(placeOf(&next, ""), "leave out the lines of ---", "a second document begins here, the file is one document")
		return nil
	}
	refuseTricks(r, &doc)
	return doc.Content[0]
}

func isEmpty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null"
}

// refuseTricks refuses what makes a file mean more than it shows: anchors,
// with which a small file can stand for a huge one, and tags of its own.
func refuseTricks(r *reader, n *yaml.Node) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.add(placeOf(n, ""), "write the values out", "anchors and aliases (& and *) are not read")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.add(placeOf(n, ""), "take the tag out; quote a value that must be a text", "tags (!) are not read")
		return
	}
	for _, child := range n.Content {
		refuseTricks(r, child)
	}
}

var syntaxLine = lazily(`^yaml: (?:line (\d+): )?`)

// syntaxPlace is the line that the YAML library names; it knows no column.
func syntaxPlace(err error) place {
	at := place{line: 1, column: 1}
	if m := syntaxLine().FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		at.line, _ = strconv.Atoi(m[1]) // digits
	}
	return at
}

func syntaxWords(err error) string {
	words, _, _ := strings.Cut(syntaxLine().ReplaceAllString(err.Error(), ""), "\n")
	return shown(words)
}
