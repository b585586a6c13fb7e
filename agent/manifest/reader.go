package manifest

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// place is where a value stands in the file.
type place struct {
	line, column int
	path         string
}

func placeOf(n *yaml.Node, path string) place {
	return place{line: n.Line, column: n.Column, path: path}
}

// value is what a key holds: it reads itself and tells what is wrong with it.
// Keys of a block are the yaml tags of a struct of pointers to values; a nil
// one was left out.
type value interface {
	read(r *reader, at place, n *yaml.Node)
}

// reader walks the tree of the file once and collects every problem in it.
type reader struct{ problems }

// fields reads a mapping into the struct that block points to.
func (r *reader) fields(at place, n *yaml.Node, block any) {
	v := reflect.ValueOf(block).Elem()
	known := keysOf(v.Type())
	r.entries(at, n, func(key string, keyAt place, n *yaml.Node) {
		i := slices.Index(known, key)
		if i < 0 {
			r.unknown(keyAt, "key", key, known)
			return
		}
		field := reflect.New(fieldOf(v.Type(), key).Type.Elem())
		v.FieldByIndex(fieldOf(v.Type(), key).Index).Set(field)
		field.Interface().(value).read(r, placeOf(n, keyAt.path), n)
	})
}

// entries calls each for every key of a mapping, with a place that points at
// the key.
func (r *reader) entries(at place, n *yaml.Node, each func(key string, keyAt place, n *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.wrongType(at, n, "a mapping of keys to values")
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!null" || key.Value == "" {
			r.add(placeOf(key, at.path), "write each key as a plain word", "a key is no word")
			continue
		}
		keyAt := placeOf(key, join(at.path, key.Value))
		if line, twice := lines[key.Value]; twice {
			r.add(keyAt, "take one of them out", "the key was given in line %d already", line)
			continue
		}
		lines[key.Value] = key.Line
		each(key.Value, keyAt, n.Content[i+1])
	}
}

// unknown tells of a word that is none of the known ones.
func (r *reader) unknown(at place, kind, word string, known []string) {
	near := agent.Nearest(word, known)
	if near == "" && kind == "key" {
		if word == "<<" {
			r.add(at, "write the keys out", "merge keys are not read")
			return
		}
	}
	if near != "" {
		r.add(at, "", "unknown %s, did you mean `%s`?", kind, near)
		return
	}
	r.add(at, "", "unknown %s, known are %s", kind, strings.Join(known, ", "))
}

// wrongType tells what stands where want belongs.
func (r *reader) wrongType(at place, n *yaml.Node, want string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		r.add(at, "", "it has no value, %s belongs here", want)
		return
	}
	r.add(at, "", "this is %s, %s belongs here", kindOf(n), want)
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

// keysOf lists the keys of a block, in the order in which it documents them.
func keysOf(block reflect.Type) []string {
	var keys []string
	for field := range block.Fields() {
		if key := field.Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func fieldOf(block reflect.Type, key string) reflect.StructField {
	for field := range block.Fields() {
		if field.Tag.Get("yaml") == key {
			return field
		}
	}
	return reflect.StructField{}
}

// maxShown is how many bytes of a text of the file a message repeats.
const maxShown = 60

func join(path, key string) string {
	if key = shown(key); path == "" {
		return key
	}
	return path + "." + key
}

// shown is a text of the file for messages: short and on one line.
func shown(text string) string { return oneLine(text, maxShown) }

// oneLine cuts a text to so many bytes and keeps it from leaving its line, on
// a terminal and in a comment of YAML.
func oneLine(text string, bytes int) string {
	if len(text) > bytes {
		text = strings.ToValidUTF8(text[:bytes], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return '?'
		}
		return r
	}, text)
}
