// Package cli holds the commands of hks, one file a command. Each has an
// Options struct with what its flags and arguments say, and a run method with
// what it does; the session gives it the terminal and the API client.
package cli

import (
	"context"
	"os"
	"time"
)

// Config is the world that a command runs in.
type Config struct {
	Args    []string // without the command's own name
	In      *os.File
	Out     *os.File
	Err     *os.File
	Getenv  func(string) string
	Version string
	Now     func() time.Time // default time.Now
}

// The exit codes. 3 is the installer's: a preflight check failed.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Run runs one command and returns its exit code.
func Run(ctx context.Context, cfg Config) int {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := newSession(cfg)
	root := newRootCommand(s)
	root.SetArgs(cfg.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	return s.report(ctx, err)
}
