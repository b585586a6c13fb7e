package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFiles reads the configuration file and its drop-ins: alphabetical, the last one wins, "key+" appends.
func readFiles(main string) (map[string][]string, error) {
	dropins, err := filepath.Glob(filepath.Join(main+".d", "*.yaml"))
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob(filepath.Join(main+".d", "*.yml"))
	if err != nil {
		return nil, err
	}
	dropins = append(dropins, more...)
	sort.Strings(dropins)
	values := map[string][]string{}
	for _, file := range append([]string{main}, dropins...) {
		data, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := merge(values, data); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return values, nil
}

func merge(values map[string][]string, data []byte) error {
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	for name, v := range doc {
		items, err := asStrings(v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if base, ok := strings.CutSuffix(name, "+"); ok {
			values[base] = append(values[base], items...)
		} else {
			values[name] = items
		}
	}
	return nil
}

func asStrings(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		var out []string
		for _, item := range v {
			one, err := asStrings(item)
			if err != nil {
				return nil, err
			}
			out = append(out, one...)
		}
		return out, nil
	case map[string]any:
		return nil, fmt.Errorf("a value or a list is wanted, not a map")
	default:
		return []string{fmt.Sprint(v)}, nil
	}
}
