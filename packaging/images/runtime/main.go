// Command runtime is process 1 of a function's pod. It starts the language's
// host, waits for one signed call that brings the function, and then never
// listens again: the host serves on a port of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	key := []byte(os.Getenv("HKS_POD_KEY"))
	if len(key) == 0 {
		return errors.New("HKS_POD_KEY is missing")
	}
	if err := os.Unsetenv("HKS_POD_KEY"); err != nil {
		return err
	}
	h, err := start(ctx, command) // none: the function is a program of its own
	if err != nil {
		return err
	}
	s := &specialiser{key: key, host: h, done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /specialise", s.serve)
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case <-s.done:
		// The endpoint closes for good; the answer under way is still sent.
		closing, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := server.Shutdown(closing); err != nil {
			return fmt.Errorf("closing the endpoint: %w", err)
		}
	case err := <-failed:
		return fmt.Errorf("listening: %w", err)
	case err := <-h.exited:
		return fmt.Errorf("the host ended before it had a function: %w", err)
	case <-ctx.Done():
		return h.stop()
	}
	select {
	case err := <-h.exited:
		return err
	case <-ctx.Done():
		return h.stop()
	}
}
