// Command hks-installer changes the machine: it brings the appliance up,
// takes it down again and removes it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"hks.dev/hks/installer"
)

// Set by the linker.
var (
	version   = "dev"
	bundleKey string // public half of the key that bundles are signed with
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return installer.Run(ctx, installer.Config{
		Args:    os.Args[1:],
		In:      os.Stdin,
		Out:     os.Stdout,
		Err:     os.Stderr,
		Environ: os.Environ(),
		Version: version,

		BundleKey: bundleKey,
	})
}
