// Command sandbox runs a command with a network, mounts, processes and control groups of its own, for tests that run a
// cluster. Nothing it does outlives it, and it says nothing unless something fails.
//
//	go run ./test/sandbox [--nat | --bridge NAME --address A/BITS] [--hostname NAME] -- CMD ARGS...
package main

import (
	"flag"
	"fmt"
	"os"
)

// insideArg is the first argument of the same program started inside.
const insideArg = "hks-sandbox-inside"

func main() {
	if len(os.Args) > 1 && os.Args[1] == insideArg {
		code, err := inside(os.Args[2:])
		exit(code, err)
	}
	opts := options{}
	fs := flag.NewFlagSet("sandbox", flag.ExitOnError)
	fs.BoolVar(&opts.nat, "nat", false, "connect the sandbox to the machine's network, with masquerading")
	fs.StringVar(&opts.bridge, "bridge", "", "connect the sandbox to this bridge, as a further machine of its network")
	fs.StringVar(&opts.address, "address", "", "ADDRESS/BITS on that bridge")
	fs.StringVar(&opts.hostname, "hostname", "sandbox", "the host name inside")
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: sandbox [flags] -- CMD ARGS...")
		fs.PrintDefaults()
	}
	_ = fs.Parse(os.Args[1:])
	if fs.NArg() == 0 {
		fs.Usage()
		os.Exit(2)
	}
	opts.command = fs.Args()
	code, err := launch(opts)
	exit(code, err)
}

type options struct {
	nat      bool
	bridge   string
	address  string
	hostname string
	command  []string
}

func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		if code == 0 {
			code = 125
		}
	}
	os.Exit(code)
}
