// Command hks-gateway is the data plane of hks: it serves ports 80 and 443
// and proxies to the pods that are ready, whether or not the agent runs.
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
	"hks.dev/hks/agent/gateway"
)

var version = "dev" // set by the linker

func main() {
	root := flag.String("root", "/", "folder below which all files are")
	show := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *show {
		fmt.Println(version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, *root)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "hks-gateway:", err)
	if known, ok := errors.AsType[*agent.Error](err); ok {
		fmt.Fprintln(os.Stderr, "  mend:", known.Fix)
	}
	os.Exit(gateway.ExitCode(err))
}
