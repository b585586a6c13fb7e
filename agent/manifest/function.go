package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// FunctionFile is the name of a function's file.
const FunctionFile = "function.yaml"

// ReadFunction reads a function.yaml: flat, or with apiVersion, kind, metadata
// and spec. An unknown key is told with its place and the nearest known one.
func ReadFunction(data []byte) (agent.FunctionSpec, error) {
	var s agent.FunctionSpec
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return s, functionProblem("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return s, functionProblem("it holds no keys")
	}
	root := document.Content[0]
	if nodeOf(root, "apiVersion") != nil {
		if err := onlyKnown(root, []string{"apiVersion", "kind", "metadata", "spec"}); err != nil {
			return s, err
		}
		if v, k := nodeOf(root, "apiVersion"), nodeOf(root, "kind"); v.Value != "hks.io/v1" || k == nil || k.Value != "Function" {
			return s, functionProblem("%d:%d: it is apiVersion: hks.io/v1 and kind: Function", v.Line, v.Column)
		}
		metadata, spec := nodeOf(root, "metadata"), nodeOf(root, "spec")
		if metadata == nil || spec == nil || metadata.Kind != yaml.MappingNode || spec.Kind != yaml.MappingNode {
			return s, functionProblem("metadata and spec are needed")
		}
		if err := onlyKnown(metadata, []string{"name"}); err != nil {
			return s, err
		}
		spec.Content = append(spec.Content, metadata.Content...)
		root = spec
	}
	if err := onlyKnown(root, functionKeys(s)); err != nil {
		return s, err
	}
	if triggers := nodeOf(root, "triggers"); triggers != nil {
		for _, trigger := range triggers.Content {
			if err := onlyKnown(trigger, functionKeys(agent.FunctionTrigger{})); err != nil {
				return s, err
			}
		}
	}
	if err := root.Decode(&s); err != nil {
		return s, functionProblem("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return s, nil
}

func nodeOf(of *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(of.Content); i += 2 {
		if of.Content[i].Value == key {
			return of.Content[i+1]
		}
	}
	return nil
}

func onlyKnown(of *yaml.Node, keys []string) error {
	for i := 0; i+1 < len(of.Content); i += 2 {
		key := of.Content[i]
		if slices.Contains(keys, key.Value) {
			continue
		}
		guess := ""
		if near := agent.Nearest(key.Value, keys); near != "" {
			guess = "; did you mean " + near + "?"
		}
		return functionProblem("%d:%d: the key %s is not known%s", key.Line, key.Column, strconv.Quote(key.Value), guess)
	}
	return nil
}

func functionKeys(of any) []string {
	var keys []string
	for field := range reflect.TypeOf(of).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		keys = append(keys, name)
	}
	return keys
}

func functionProblem(format string, args ...any) error {
	return &agent.Error{
		Code: agent.CodeInvalid, Message: FunctionFile + ":" + fmt.Sprintf(format, args...), Fix: "correct it; hks function init writes one that is right",
		Details: map[string]any{"file": FunctionFile},
	}
}
