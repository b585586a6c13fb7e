package double

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

// instantBuilder makes every image at once, out of nothing, but for an app
// whose name has slow in it, which takes until it is cancelled, and broken,
// which fails.
type instantBuilder struct{}

func (instantBuilder) Solve(ctx context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error) {
	on(buildkit.Event{Kind: buildkit.StepStarted, Step: 1, Name: "[1/1] FROM nothing"})
	switch {
	case strings.Contains(job.Key, "slow"):
		<-ctx.Done()
		return buildkit.Result{}, ctx.Err()
	case strings.Contains(job.Key, "broken"):
		on(buildkit.Event{Kind: buildkit.StepLog, Step: 1, Name: "[1/1] FROM nothing", Text: "npm error: no lock file"})
		on(buildkit.Event{Kind: buildkit.StepFailed, Step: 1, Name: "[1/1] FROM nothing", Text: "exit code 1"})
		return buildkit.Result{}, agent.Errorf(agent.CodeBuildFailed, "see the lines above", "[1/1] FROM nothing: exit code 1")
	}
	on(buildkit.Event{Kind: buildkit.StepDone, Step: 1, Name: "[1/1] FROM nothing"})
	if job.Push == "" {
		return buildkit.Result{}, nil
	}
	sum := sha256.Sum256([]byte(job.Push))
	return buildkit.Result{Digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// noBases carries no base images.
type noBases struct{}

func (noBases) Bases(context.Context) ([]string, error) { return nil, nil }
