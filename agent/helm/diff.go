package helm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// Diff tells what an upgrade would change: one line for each field of each
// object. Values of Secrets are not shown.
func (c *Client) Diff(ctx context.Context, r Release) ([]agent.Change, error) {
	cfg, err := c.configure(r.Namespace)
	if err != nil {
		return nil, err
	}
	now, err := cfg.Releases.Deployed(r.Name)
	if err != nil {
		return nil, explain("looking at "+r.Name, err)
	}
	upgrade := c.upgrade(cfg, r)
	upgrade.DryRun, upgrade.DryRunOption, upgrade.HideSecret = true, "server", true
	next, err := upgrade.RunWithContext(ctx, r.Name, r.Chart.loaded, r.Values)
	if err != nil {
		return nil, explain("trying the upgrade of "+r.Name, err)
	}
	before, err := objects(now.Manifest)
	if err != nil {
		return nil, err
	}
	after, err := objects(next.Manifest)
	if err != nil {
		return nil, err
	}
	return changes(before, after), nil
}

// objects reads a manifest into fields by object: "StatefulSet/db" -> path -> value.
func objects(manifest string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	decoder := yaml.NewDecoder(strings.NewReader(manifest))
	for {
		var object map[string]any
		if err := decoder.Decode(&object); err != nil {
			if err.Error() == "EOF" {
				return all, nil
			}
			return nil, fmt.Errorf("reading a release's objects: %w", err)
		}
		kind, _ := object["kind"].(string)
		meta, _ := object["metadata"].(map[string]any)
		if kind == "" || kind == "Secret" {
			continue
		}
		fields := map[string]string{}
		flatten("", object, fields)
		all[fmt.Sprintf("%s/%v", kind, meta["name"])] = fields
	}
}

func flatten(path string, value any, into map[string]string) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			flatten(strings.TrimPrefix(path+"."+name, "."), inner, into)
		}
	case []any:
		for i, inner := range value {
			flatten(fmt.Sprintf("%s[%d]", path, i), inner, into)
		}
	default:
		into[path] = fmt.Sprint(value)
	}
}

func changes(before, after map[string]map[string]string) []agent.Change {
	var found []agent.Change
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := before[name], after[name]
		switch {
		case is == nil:
			found = append(found, agent.Change{Component: name, Field: "object", From: "there", To: ""})
			continue
		case was == nil:
			found = append(found, agent.Change{Component: name, Field: "object", From: "", To: "new"})
			continue
		}
		paths := map[string]bool{}
		for path := range was {
			paths[path] = true
		}
		for path := range is {
			paths[path] = true
		}
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			if was[path] != is[path] {
				found = append(found, agent.Change{Component: name, Field: path, From: was[path], To: is[path]})
			}
		}
	}
	return found
}
