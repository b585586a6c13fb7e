package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// unknownField is how the decoder words an unknown key.
var unknownField = regexp.MustCompile(`line (\d+): field (\S+) not found in type config\.(\w+)`)

// explain rewords the decoder's complaint about an unknown key so that it
// names the line and the nearest known key.
func explain(err error) error {
	typeError, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	lines := make([]string, 0, len(typeError.Errors))
	for _, line := range typeError.Errors {
		if m := unknownField.FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("line %s: unknown key %q%s", m[1], m[2], nearest(m[2], m[3]))
		}
		lines = append(lines, line)
	}
	return errors.New(strings.Join(lines, "; "))
}

func nearest(key, typeName string) string {
	best := agent.Nearest(key, keysOf(reflect.TypeFor[Config](), typeName))
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// keysOf lists the yaml keys of the named struct type within t.
func keysOf(t reflect.Type, typeName string) []string {
	var keys []string
	for field := range t.Fields() {
		if field.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(field.Type, typeName)...)
		}
		if tag := field.Tag.Get("yaml"); t.Name() == typeName && tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}
