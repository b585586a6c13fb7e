package buildkit

import (
	"fmt"
	"os"
	"os/exec"

	"hks.dev/hks/agent"
)

// runc finds the program that runs a build's steps.
func (c Config) runc() (string, error) {
	if c.Runc != "" {
		if err := executable(c.Runc); err != nil {
			return "", agent.Errorf(agent.CodeBuilderAway, "correct build.runc in config.yaml, or leave it empty", "builds can't run: %w", err)
		}
		return c.Runc, nil
	}
	if path, err := exec.LookPath("runc"); err == nil {
		return path, nil
	}
	if executable(c.K3sRunc) == nil {
		return c.K3sRunc, nil
	}
	return "", agent.Errorf(agent.CodeBuilderAway, "install runc (on Debian: apt-get install runc), or name one by build.runc in config.yaml",
		"builds can't run: there is no runc on the path, and none of k3s's at %s", c.K3sRunc)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", path)
	}
	return nil
}
