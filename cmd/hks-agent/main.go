// Command hks-agent is the control plane of hks: it runs the engine and the
// gateway and serves the API and the screens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hks.dev/hks/agent"
)

var version = "dev" // set by the linker

func main() {
	root := flag.String("root", "/", "folder below which all files are")
	node := flag.Bool("node", false, "run a node that has joined another machine's appliance")
	show := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *show {
		fmt.Println(version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, *root, *node)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if known, ok := errors.AsType[*agent.Error](err); ok && known.Fix != "" {
		fmt.Fprintln(os.Stderr, "fix:", known.Fix)
	}
	os.Exit(1)
}
