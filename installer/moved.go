package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addressKeys of k3s.extra hold an address of the machine.
var addressKeys = []string{"node-ip", "node-external-ip", "advertise-address", "bind-address"}

// moveSettings gives the keys of k3s.extra that hold an address which this
// machine has not the one that it has. Everything else in the file stays as
// the owner wrote it. It returns what was changed, in words.
func moveSettings(file string, owns func(address string) bool, now string) ([]string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var document yaml.Node
	if err == nil {
		err = yaml.Unmarshal(data, &document)
	}
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	extra := yamlAt(&document, "k3s", "extra")
	var changed []string
	for _, key := range addressKeys {
		value := yamlAt(extra, key)
		if value == nil || value.Kind != yaml.ScalarNode {
			continue
		}
		if at, err := netip.ParseAddr(value.Value); err != nil || at.IsUnspecified() || owns(value.Value) || now == "" {
			continue
		}
		changed = append(changed, fmt.Sprintf("k3s.extra.%s is %s, it was %s", key, now, value.Value))
		value.Value = now
	}
	if len(changed) == 0 {
		return nil, nil
	}
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing settings: %w", err)
	}
	if err := replaceFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("writing settings: %w", err)
	}
	return changed, nil
}

// yamlAt finds what is under keys; nil when there is nothing.
func yamlAt(node *yaml.Node, keys ...string) *yaml.Node {
	if node != nil && node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	for _, key := range keys {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				found = node.Content[i+1]
			}
		}
		node = found
	}
	return node
}
