package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// text is a string.
type text struct {
	place
	value string
	ok    bool // it was read; what is wrong has been told of
}

func (t *text) read(r *reader, at place, n *yaml.Node) {
	t.place = at
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		r.wrongType(at, n, "a text")
		return
	}
	t.value, t.ok = n.Value, true
}

// plain is a string, number or boolean, kept as it is written.
type plain struct {
	place
	value string
	ok    bool
}

func (p *plain) read(r *reader, at place, n *yaml.Node) {
	p.place = at
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		r.wrongType(at, n, "a text, a number or a boolean")
	case strings.ContainsRune(n.Value, 0):
		r.add(at, "encode it, for instance as base64", "the value holds a zero byte")
	default:
		p.value, p.ok = n.Value, true
	}
}

// number is a whole number in decimal digits.
type number struct {
	place
	value int
	ok    bool
}

var decimal = lazily(`^(0|[1-9][0-9]{0,8})$`)

func (v *number) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || !decimal().MatchString(n.Value) {
		r.wrongType(at, n, "a whole number in decimal digits")
		return
	}
	v.value, _ = strconv.Atoi(n.Value) // the grammar has only what fits
	v.ok = true
}

// Bounds of what one component may hold.
const (
	maxEnvNames     = 500
	maxEnvNameBytes = 128
	maxSecrets      = 100
	maxBuildArgs    = 50
	maxCommandWords = 100
)

// pairs maps names of environment variables to plain values.
type pairs struct {
	place
	values map[string]plain
}

func (p *pairs) read(r *reader, at place, n *yaml.Node) {
	p.place, p.values = at, map[string]plain{}
	r.entries(at, n, func(key string, keyAt place, n *yaml.Node) {
		r.envName(keyAt, key)
		var v plain
		v.read(r, placeOf(n, keyAt.path), n)
		p.values[key] = v
	})
}

// strings returns the values alone, nil when there are none.
func (p *pairs) strings() map[string]string {
	if p == nil || len(p.values) == 0 {
		return nil
	}
	values := make(map[string]string, len(p.values))
	for key, v := range p.values {
		values[key] = v.value
	}
	return values
}

// names is a list of names of environment variables, each once.
type names struct {
	place
	list []text
}

func (v *names) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind != yaml.SequenceNode {
		r.wrongType(at, n, "a list of names")
		return
	}
	lines := map[string]int{}
	for i, item := range n.Content {
		var t text
		t.read(r, placeOf(item, fmt.Sprintf("%s[%d]", at.path, i)), item)
		if !t.ok || !r.envName(t.place, t.value) {
			continue
		}
		if line, twice := lines[t.value]; twice {
			r.add(t.place, "take one of them out", "%s was given in line %d already", shown(t.value), line)
			continue
		}
		lines[t.value] = item.Line
		v.list = append(v.list, t)
	}
}

// strings returns the names alone, nil when there are none.
func (v *names) strings() []string {
	if v == nil || len(v.list) == 0 {
		return nil
	}
	list := make([]string, len(v.list))
	for i, t := range v.list {
		list[i] = t.value
	}
	return list
}

// argv is a command: a list of words, or one text that is split at spaces.
// No shell ever sees it.
type argv struct {
	place
	words []string
}

func (v *argv) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	switch {
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			var word plain
			word.read(r, placeOf(item, fmt.Sprintf("%s[%d]", at.path, i)), item)
			v.words = append(v.words, word.value)
		}
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		words, err := split(n.Value)
		if err != nil {
			r.add(at, `give it as a list, such as [node, server.js]; a shell runs only when you name one: [sh, -c, "..."]`, "%s", err)
			return
		}
		v.words = words
	default:
		r.wrongType(at, n, "a command, as a list of words or a text,")
		return
	}
	switch {
	case len(v.words) == 0 || v.words[0] == "":
		r.add(at, "name the program first", "the command is empty")
	case len(v.words) > maxCommandWords:
		r.add(at, "put it into a script", "the command has %d words, %d are allowed", len(v.words), maxCommandWords)
	}
}

func (v *argv) strings() []string {
	if v == nil {
		return nil
	}
	return v.words
}

// envName checks the name of an environment variable.
func (r *reader) envName(at place, name string) bool {
	if len(name) <= maxEnvNameBytes && agent.ValidateEnvName(name) == nil {
		return true
	}
	r.add(at, "a name has letters, digits and underscores and does not begin with a digit", "%q is not a name of an environment variable", shown(name))
	return false
}
