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

func resolvedSchema(t *testing.T) *jsonschema.Resolved {
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

func validate(t *testing.T, rs *jsonschema.Resolved, data []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return rs.Validate(v)
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
		"component name", "reserved name", "both", "kind", "port too high", "port negative", "port is a text", "replicas", "folder is absolute",
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
	for _, key := range keysOf(block) {
		keys[path+"."+key] = true
		walkTypes(fieldOf(block, key).Type.Elem(), path+"."+key, keys)
	}
}
