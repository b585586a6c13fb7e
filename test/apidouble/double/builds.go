package double

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

// builder makes images out of nothing, but goes through the recipe: each
// instruction is a step. Of what a RUN says, echo logs, sleep takes its time
// in seconds, and exit fails. An app whose name has slow in it takes until it is
// cancelled, one with broken fails.
type builder struct {
	*world

	mu   sync.Mutex      // guards the rest
	done map[string]bool // steps by key and name, as a cache has them
	old  int64           // bytes of the cache
}

func newBuilder(w *world) *builder {
	return &builder{world: w, done: map[string]bool{}, old: 300 << 20}
}

// ofStep is what a step takes of the cache, in bytes.
const ofStep = 12 << 20

func (b *builder) DiskUsage(context.Context) (buildkit.Usage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.old + ofStep*int64(len(b.done))
	return buildkit.Usage{Total: all, Reclaimable: all, Old: b.old}, nil
}

func (b *builder) Prune(_ context.Context, all bool) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	freed := b.old
	if all {
		freed += ofStep * int64(len(b.done))
		clear(b.done)
	}
	b.old = 0
	return freed, nil
}

func (b *builder) Solve(ctx context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error) {
	switch { // whatever the recipe says
	case strings.Contains(job.Key, "slow"):
		<-ctx.Done()
		return buildkit.Result{}, ctx.Err()
	case strings.Contains(job.Key, "broken"):
		on(buildkit.Event{Kind: buildkit.StepLog, Step: 1, Name: "[1/1] FROM nothing", Text: "npm error: no lock file"})
		on(buildkit.Event{Kind: buildkit.StepFailed, Step: 1, Name: "[1/1] FROM nothing", Text: "exit code 1"})
		return buildkit.Result{}, agent.Errorf(agent.CodeBuildFailed, "see the lines above", "[1/1] FROM nothing: exit code 1")
	}
	recipe := job.Dockerfile
	if recipe == nil {
		var err error
		if recipe, err = os.ReadFile(filepath.Join(job.Context, filepath.FromSlash(job.File))); err != nil {
			return buildkit.Result{}, fmt.Errorf("reading the recipe: %w", err)
		}
	}
	steps := instructions(string(recipe))
	for i, text := range steps {
		event := buildkit.Event{Step: i + 1, Name: fmt.Sprintf("[%d/%d] %s", i+1, len(steps), text)}
		if err := b.step(ctx, job, event, text, on); err != nil {
			return buildkit.Result{}, err
		}
	}
	if job.Push == "" {
		return buildkit.Result{}, nil
	}
	sum := sha256.Sum256([]byte(job.Push))
	return buildkit.Result{Digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// instructions are the lines of a recipe that begin with one.
func instructions(recipe string) []string {
	var found []string
	for line := range strings.Lines(recipe) {
		word, _, _ := strings.Cut(line, " ")
		switch word {
		case "FROM", "RUN", "COPY", "WORKDIR":
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func (b *builder) step(ctx context.Context, job buildkit.Job, event buildkit.Event, text string, on func(buildkit.Event)) error {
	began := time.Now()
	tell := func(kind buildkit.EventKind, text string) {
		e := event
		e.Kind, e.Text, e.Time, e.Took = kind, text, time.Now().UTC(), time.Since(began)
		on(e)
	}
	key := job.Key + " " + event.Name
	b.mu.Lock()
	cached := b.done[key] && !job.Fresh
	b.done[key] = true
	b.mu.Unlock()
	if cached {
		tell(buildkit.StepCached, "")
		return nil
	}
	tell(buildkit.StepStarted, "")
	commands, _ := strings.CutPrefix(text, "RUN ")
	last := ""
	for command := range strings.SplitSeq(commands, " && ") {
		word, rest, _ := strings.Cut(command, " ")
		switch word {
		case "echo":
			last = rest
			tell(buildkit.StepLog, last)
		case "sleep":
			took, err := time.ParseDuration(rest + "s")
			if err != nil {
				return fmt.Errorf("reading the recipe: %w", err)
			}
			if !b.wait(ctx, took) {
				return fmt.Errorf("the builder ends: %w", context.Canceled)
			}
		case "exit":
			tell(buildkit.StepFailed, fmt.Sprintf("process %q did not complete successfully: exit code: %s", "/bin/sh -c "+commands, rest))
			return &agent.Error{
				Code: agent.CodeBuildFailed, Message: fmt.Sprintf("the step %s failed with exit code %s: %s", event.Name, rest, last),
				Fix: "read the step's output, correct it, and build again",
			}
		}
	}
	tell(buildkit.StepDone, "")
	return nil
}

// noBases carries no base images.
type noBases struct{}

func (noBases) Bases(context.Context) ([]string, error) { return nil, nil }
