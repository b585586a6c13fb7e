package buildkit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	frontend "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"hks.dev/hks/agent"
)

// What the real daemon says is in the tests that run one; here is what it says
// rarely.
func TestExplain(t *testing.T) {
	c := &Client{cfg: ClientConfig{Memory: 2 << 30, Registry: func() Registry { return Registry{Address: "127.0.0.1:5443"} }}}
	start, end := time.Unix(10, 0), time.Unix(12, 0)
	exit := func(code uint32) error {
		return errdefs.WrapVertex(fmt.Errorf("process did not complete: %w", &frontend.ExitError{ExitCode: code}), "sha256:a")
	}
	tests := map[string]struct {
		err     error
		output  string
		code    agent.Code
		message string
		fix     string
	}{
		"disk full":                {errors.New("failed to solve: write /x: no space left on device"), "", agent.CodeNoSpace, "the disk is full", "df -h"},
		"disk full in a step":      {exit(1), "npm error ENOSPC: No space left on device\n", agent.CodeNoSpace, "the disk is full", "df -h"},
		"exit code":                {exit(2), "why\n\n", agent.CodeBuildFailed, "the step [1/1] RUN x failed with exit code 2: why", "correct it"},
		"no output":                {exit(2), "", agent.CodeBuildFailed, "the step [1/1] RUN x failed with exit code 2", "correct it"},
		"killed":                   {exit(137), "Killed\n", agent.CodeBuildFailed, "most likely as it took more memory than builds may take (2048 MiB)", "build.memory"},
		"daemon away":              {status.Error(codes.Unavailable, "error reading from server: EOF"), "", agent.CodeBuilderAway, "it ended while it was building", "hks status"},
		"registry away on push":    {errors.New("failed to solve: failed to push 127.0.0.1:5443/web:1: failed to do request: connect: connection refused"), "", agent.CodeBuilderAway, "registry does not answer", "hks status"},
		"registry away on pull":    {errors.New("failed to solve: x: failed to resolve source metadata for 127.0.0.1:5443/hks/node:24: connect: connection refused"), "", agent.CodeBuilderAway, "registry does not answer", "hks status"},
		"no such image":            {errors.New("failed to solve: nod:24: failed to resolve source metadata for docker.io/library/nod:24: pull access denied"), "", agent.CodeBuildFailed, "the base image docker.io/library/nod:24 can't be had: pull access denied", "check its name"},
		"no such image of ours":    {errors.New("failed to solve: x: failed to resolve source metadata for 127.0.0.1:5443/hks/nod:24: 127.0.0.1:5443/hks/nod:24: not found"), "", agent.CodeBuildFailed, "the base image registry.hks.internal/hks/nod:24 can't be had: not found", "registry.hks.internal/hks/node:24"},
		"no way to a registry":     {errors.New("failed to solve: x: failed to resolve source metadata for ghcr.io/me/x:1: dial tcp: lookup ghcr.io: no such host"), "", agent.CodeBuildFailed, "no such host", "registry.hks.internal/hks/node:24"},
		"certificates not trusted": {errors.New("failed to solve: x: failed to resolve source metadata for ghcr.io/me/x:1: tls: failed to verify certificate"), "", agent.CodeBuildFailed, "failed to verify certificate", "registry.hks.internal/hks/node:24"},
		"anything else":            {errors.New("failed to solve: circular dependency detected on stage: a"), "", agent.CodeBuildFailed, "the build failed: circular dependency", "correct it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProgress(nil, nil)
			p.take(vertexes(&client.Vertex{Digest: "sha256:a", Name: "[1/1] RUN x", Started: &start, Completed: &end, Error: "it failed"}))
			p.take(output("a", tt.output))
			err := c.explain(tt.err, Job{Carried: []string{"registry.hks.internal/hks/node:24"}}, p)
			shown, ok := errors.AsType[*agent.Error](err)
			if !ok {
				t.Fatalf("error = %v", err)
			}
			if shown.Code != tt.code || !strings.Contains(shown.Message, tt.message) || !strings.Contains(shown.Fix, tt.fix) {
				t.Errorf("got %s: %s (%s)", shown.Code, shown.Message, shown.Fix)
			}
			if !errors.Is(shown, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}
