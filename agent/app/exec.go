package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Exec runs a command in an instance until it ends, and returns its exit
// code. It ends with ctx; the command itself then sees its input close.
func (s *Shell) Exec(ctx context.Context, target agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (int, error) {
	query := url.Values{
		"container": {target.Container}, "command": run.Command, "tty": {strconv.FormatBool(run.TTY)},
		"stdin": {strconv.FormatBool(run.Stdin)}, "stdout": {"true"}, "stderr": {strconv.FormatBool(!run.TTY)},
	}
	settings, at, err := s.stream(ctx, target.Instance, "exec", query)
	if err != nil {
		return 0, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(settings, http.MethodPost, at)
	if err != nil {
		return 0, fmt.Errorf("preparing a command: %w", err)
	}
	socket, err := remotecommand.NewWebSocketExecutor(settings, http.MethodGet, at.String())
	if err != nil {
		return 0, fmt.Errorf("preparing a command: %w", err)
	}
	executor, err := remotecommand.NewFallbackExecutor(socket, spdy, noWebSocket)
	if err != nil {
		return 0, fmt.Errorf("preparing a command: %w", err)
	}
	options := remotecommand.StreamOptions{Stdout: streams.Stdout, Tty: run.TTY}
	if run.Stdin {
		options.Stdin = streams.Stdin
	}
	if run.TTY {
		options.TerminalSizeQueue = &sizeQueue{ctx: ctx, first: run.Size, sizes: streams.Sizes}
	} else {
		options.Stderr = streams.Stderr
	}
	return outcomeOf(ctx, target, run, executor.StreamWithContext(ctx, options))
}

// noWebSocket tells whether an API server refused the upgrade to WebSocket
// only.
func noWebSocket(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// outcomeOf tells how a command ended from what ended the stream.
func outcomeOf(ctx context.Context, target agent.InstanceTarget, run agent.Exec, err error) (int, error) {
	if exit, ok := errors.AsType[utilexec.CodeExitError](err); ok {
		return exit.Code, nil
	}
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case startRefused(err.Error()):
		return 0, &agent.Error{
			Code:    agent.CodeNotFound,
			Message: fmt.Sprintf("the image of %s can't run %q: no such program, or it may not be run", target.Instance, run.Command[0]),
			Fix:     "name a program that is in the image, by its whole path after --; an image without a shell has no sh either",
			Cause:   err,
		}
	}
	return 0, kube.Explain("running a command in "+target.Instance, err)
}

// sizeQueue gives the terminal's sizes to the stream, until ctx ends.
type sizeQueue struct {
	ctx   context.Context
	first agent.TerminalSize
	sizes <-chan agent.TerminalSize
}

// Next returns the next size; nil means that none will come.
func (q *sizeQueue) Next() *remotecommand.TerminalSize {
	size := q.first
	q.first = agent.TerminalSize{}
	if size.Width == 0 || size.Height == 0 {
		select {
		case <-q.ctx.Done():
			return nil
		case next, open := <-q.sizes:
			if !open {
				return nil
			}
			size = next
		}
	}
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}
