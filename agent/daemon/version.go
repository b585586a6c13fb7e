package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hks.dev/hks/agent"
)

// versionTeller writes down when another version begins than ran before, so
// that it can be read beside all else that happened.
type versionTeller struct {
	file    string // holds the version that ran last
	version string
	record  func(ctx context.Context, activity agent.Activity)
}

// Start tells it. The agent does not depend on it, so that only a disk that
// can't be written to is an error.
func (v *versionTeller) Start(ctx context.Context) error {
	before, err := os.ReadFile(v.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading which version ran last: %w", err)
	}
	last := strings.TrimSpace(string(before))
	if last == v.version {
		return nil
	}
	temp := v.file + ".tmp"
	if err := errors.Join(os.MkdirAll(filepath.Dir(v.file), 0o700), os.WriteFile(temp, []byte(v.version+"\n"), 0o600)); err != nil {
		return fmt.Errorf("writing which version runs: %w", err)
	}
	if err := os.Rename(temp, v.file); err != nil {
		return fmt.Errorf("writing which version runs: %w", err)
	}
	if last != "" {
		v.record(ctx, agent.Activity{Level: "info", Subject: "hks", Message: fmt.Sprintf("version %s begins; before it %s ran", v.version, last), By: "hks-installer"})
	}
	return nil
}
