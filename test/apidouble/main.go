// Command apidouble runs the real API of hks, with the real store, over a
// made-up cluster: apps go through plausible changes, print logs and use
// resources, and nothing is deployed. It lets the screens and the command be
// developed and tested on a machine without a cluster. It is a test double;
// the product never contains it.
//
// What an image's name contains decides what happens to it: "missing" can't be
// pulled, "crash" never gets ready, "full" waits for room. A workspace whose
// name contains "broken" fails once. Of what a RUN in a Dockerfile says, echo
// logs, sleep takes its time and exit fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"hks.dev/hks/test/apidouble/double"
	"hks.dev/hks/ui"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apidouble:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := double.Config{UI: ui.Handler()}
	verbose := flag.Bool("v", false, "log each request")
	flag.StringVar(&cfg.Listen, "listen", "127.0.0.1:8443", "address and port; port 0 takes a free one")
	flag.StringVar(&cfg.Root, "root", "", "folder for state; default: a new one that is removed at the end")
	flag.StringVar(&cfg.Password, "password", "", "set up an owner with this password at once")
	flag.Float64Var(&cfg.Speed, "speed", 1, "how much faster than life things happen")
	flag.BoolVar(&cfg.Seed, "seed", false, "begin with a few apps")
	flag.BoolVar(&cfg.Builds, "builds", false, "begin with a few builds too: one succeeded, one failed, one goes on")
	flag.BoolVar(&cfg.Trouble, "trouble", false, "begin with a few incidents and channels too: a leak and a crash loop go on, one is over, one channel fails")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	d, err := double.Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Printf("url %s\nsetup-link %s\nfingerprint %s\nsocket %s\n", d.URL, d.SetupLink, d.Fingerprint, d.Socket)
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return d.Stop(last)
}
