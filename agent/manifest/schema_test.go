package manifest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

func resolvedSchema(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	rs, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// validate applies the schema as an editor does.
func validate(t testing.TB, rs *jsonschema.Resolved, data []byte) error {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return rs.Validate(jsonOf(t, doc.Content[0]))
}

// jsonOf makes the values of JSON of a tree of YAML; a date is a string.
func jsonOf(t testing.TB, n *yaml.Node) any {
	t.Helper()
	switch {
	case n.Kind == yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			object[n.Content[i].Value] = jsonOf(t, n.Content[i+1])
		}
		return object
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, jsonOf(t, item))
		}
		return list
	case n.Tag == "!!timestamp":
		return n.Value
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsTheExamples(t *testing.T) {
	rs := resolvedSchema(t)
	for name, data := range examples(t) {
		if err := validate(t, rs, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaRefuses has mistakes that an editor should underline.
func TestSchemaRefuses(t *testing.T) {
	rs := resolvedSchema(t)
	for _, name := range []string{
		"unknown key", "unknown build key", "unknown environment", "app missing", "app of wrong type", "app of wrong form", "no component",
		"component name", "reserved name", "both", "kind", "port too high", "port negative", "port is a text", "replicas", "scale without max", "scale too far", "scale at no load", "scale at a text", "scale by something", "folder is absolute",
		"folder is empty", "template", "target", "route of wrong form", "route is empty", "host", "health", "env name", "env value",
		"env is a list", "secret with a value", "duplicate secret", "cpu", "memory in cores", "command is empty", "test without target", "too many secrets",
	} {
		tt, ok := refused[name]
		if !ok {
			t.Errorf("no file %q", name)
			continue
		}
		if validate(t, rs, []byte(tt.text)) == nil {
			t.Errorf("%s: the schema accepts\n%s", name, tt.text)
		}
	}
}

// TestSchemaHasTheKeysOfTheGrammar walks both.
func TestSchemaHasTheKeysOfTheGrammar(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	inSchema, inTypes := map[string]bool{}, map[string]bool{}
	walkSchema(root, root, "", inSchema)
	walkTypes(reflect.TypeFor[document](), "", inTypes)
	if !maps.Equal(inSchema, inTypes) {
		t.Errorf("schema: %q\ntypes:  %q", slices.Sorted(maps.Keys(inSchema)), slices.Sorted(maps.Keys(inTypes)))
	}
	if len(inTypes) < 40 {
		t.Errorf("only %d keys were found", len(inTypes))
	}
}

func walkSchema(root, s map[string]any, path string, keys map[string]bool) {
	if ref, ok := s["$ref"].(string); ok {
		defs := root["$defs"].(map[string]any)
		walkSchema(root, defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), path, keys)
	}
	properties, _ := s["properties"].(map[string]any)
	for key, sub := range properties {
		keys[path+"."+key] = true
		walkSchema(root, sub.(map[string]any), path+"."+key, keys)
	}
	if sub, ok := s["additionalProperties"].(map[string]any); ok {
		walkSchema(root, sub, path+".*", keys)
	}
	if sub, ok := s["items"].(map[string]any); ok {
		walkSchema(root, sub, path+"[]", keys)
	}
	alternatives, _ := s["oneOf"].([]any)
	for _, sub := range alternatives {
		walkSchema(root, sub.(map[string]any), path, keys)
	}
}

func walkTypes(block reflect.Type, path string, keys map[string]bool) {
	if block == reflect.TypeFor[components]() {
		walkTypes(reflect.TypeFor[componentBlock](), path+".*", keys)
		return
	}
	if block == reflect.TypeFor[volumesBlock]() {
		walkTypes(reflect.TypeFor[volumeBlock](), path+"[]", keys)
		return
	}
	for _, key := range keysOf(block) {
		keys[path+"."+key] = true
		walkTypes(fieldOf(block, key).Type.Elem(), path+"."+key, keys)
	}
}
