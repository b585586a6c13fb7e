// Command hks is the user's command: it deploys, shows and steers what runs
// on an appliance, through the appliance's API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"hks.dev/hks/cmd/hks/cli"
)

var version = "dev" // set by the linker

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Run(ctx, cli.Config{
		Args:    os.Args[1:],
		In:      os.Stdin,
		Out:     os.Stdout,
		Err:     os.Stderr,
		Getenv:  os.Getenv,
		Version: version,
	})
}
