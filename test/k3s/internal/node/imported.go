package node

import (
	"encoding/json"
	"os"
)

// imported remembers which archives are in the store, so that a start doesn't import them again.
type imported map[string]importedFile

type importedFile struct {
	Stamp  string   `json:"stamp"` // size and time
	Images []string `json:"images"`
}

func (n *Node) readImported() imported {
	seen := imported{}
	data, err := os.ReadFile(n.agent("images/.cache.json"))
	if err == nil {
		_ = json.Unmarshal(data, &seen) // a broken cache only costs an import
	}
	return seen
}

func (n *Node) writeImported(seen imported) error {
	data, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	tmp := n.agent(".imported.tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, n.agent("images/.cache.json"))
}
