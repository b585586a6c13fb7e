package installer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
)

const settingsHeader = "# Settings of hks. What is not set here has its default; README.md, Settings, explains every key.\n"

// parseExtra reads KEY=VALUE of k3s's settings. A key given twice is a list,
// and so is a value written as one.
func parseExtra(pairs []string) (map[string]any, error) {
	extra := map[string]any{}
	for _, pair := range pairs {
		key, text, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageError{fmt.Errorf("--extra %q is not KEY=VALUE", pair)}
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, usageError{fmt.Errorf("--extra %s: %w", key, err)}
		}
		if strings.HasSuffix(key, "-arg") { // k3s passes these on as options: they are texts in a list
			if _, list := value.([]any); !list {
				value = []any{text}
			}
		}
		before, twice := extra[key]
		if !twice {
			extra[key] = value
			continue
		}
		extra[key] = append(asList(before), asList(value)...)
	}
	return extra, nil
}

func asList(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	return []any{value}
}

// writeSettings makes the settings file when there is none. An existing one is
// the owner's: today's flags don't change it.
func (m *machine) writeSettings(extra map[string]any) error {
	file := m.paths.ConfigFile()
	if exists(file) {
		if len(extra) > 0 && !sameYAML(extra, m.settings.K3s.Extra) {
			return &agent.Error{
				Code:    agent.CodeConflict,
				Message: fmt.Sprintf("--extra differs from k3s.extra in %s, which is kept", file),
				Fix:     fmt.Sprintf("edit k3s.extra in %s and run it again without --extra", file),
			}
		}
		return nil
	}
	text := []byte(settingsHeader)
	if len(extra) > 0 {
		data, err := yaml.Marshal(map[string]any{"k3s": map[string]any{"extra": extra}})
		if err != nil {
			return fmt.Errorf("writing settings: %w", err)
		}
		text = append(text, data...)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	if err := replaceFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	settings, err := config.Load(m.settings.Root, func(string) string { return "" })
	if err != nil {
		return err
	}
	m.settings = settings
	return nil
}

func sameYAML(a, b any) bool {
	left, err1 := yaml.Marshal(a)
	right, err2 := yaml.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(left, right)
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
