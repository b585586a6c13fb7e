package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"hks.dev/hks/agent"
)

// pruneWithin bounds a removal.
const pruneWithin = 10 * time.Minute

// Usage tells what the images take, and of what.
func (r *Registry) Usage(ctx context.Context) (agent.ImageUsage, error) {
	inv, err := r.inventory(ctx)
	if err != nil {
		return agent.ImageUsage{}, err
	}
	return agent.ImageUsage{UsedBytes: inv.size(), BudgetBytes: r.cfg.Budget, PrunedAt: r.prunedAt()}, nil
}

// Prune removes all images that nobody needs: what no kept release points to,
// what is no base image of the appliance's own, and what was stored longer
// ago than the grace time. A dry run tells what would go. It is refused with
// agent.CodeConflict while an image is being built, loaded or pushed.
func (r *Registry) Prune(ctx context.Context, dryRun bool, by string) (agent.ImagePrune, error) {
	// It is brought to its end though who asked may have gone: half of it would
	// only be done again the next time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pruneWithin)
	defer cancel()
	return r.prune(ctx, keepNone, dryRun, by)
}

// Budgets that are none: of the tagged images that may go, all go or none.
const (
	keepNone = -1
	keepAll  = math.MaxInt64
)

// prune removes tagged images, the oldest first, until budget bytes are kept.
// What has no name goes anyway.
func (r *Registry) prune(ctx context.Context, budget int64, dryRun bool, by string) (agent.ImagePrune, error) {
	if dryRun {
		inv, _, chosen, err := r.chosen(ctx, budget)
		if err != nil {
			return agent.ImagePrune{}, err
		}
		done := r.told(inv, chosen)
		done.DryRun = true
		return done, nil
	}
	open, err := r.closeGate(ctx)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	defer open()
	inv, uses, chosen, err := r.chosen(ctx, budget)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	done, after, err := r.carryOut(ctx, inv, chosen)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	r.markPruned(ctx)
	r.report(ctx, done, after.appSizes(uses), by)
	return done, nil
}

// carryOut removes what was chosen, and looks what there is afterwards. The
// gate is closed.
func (r *Registry) carryOut(ctx context.Context, inv *inventory, c choice) (agent.ImagePrune, *inventory, error) {
	done := r.told(inv, c)
	if err := r.sweep(ctx, c); err != nil {
		return agent.ImagePrune{}, nil, err
	}
	after, err := r.inventory(ctx)
	if err != nil {
		return agent.ImagePrune{}, nil, err
	}
	done.AfterBytes = after.size()
	done.FreedBytes = done.BeforeBytes - done.AfterBytes
	return done, after, nil
}

// closeGate keeps writers out; a build is one too, it means to push.
func (r *Registry) closeGate(ctx context.Context) (open func(), err error) {
	if r.cfg.Building() {
		return nil, errBusy()
	}
	return r.gate.closeFor(ctx)
}

// chosen looks at everything and says what may go now.
func (r *Registry) chosen(ctx context.Context, budget int64) (*inventory, []agent.ImageUse, choice, error) {
	uses, err := r.uses(ctx)
	if err != nil {
		return nil, nil, choice{}, err
	}
	inv, err := r.inventory(ctx)
	if err != nil {
		return nil, nil, choice{}, err
	}
	return inv, uses, inv.choose(r.rules(uses, budget)), nil
}

// uses asks which images are needed. Who does not know must not remove any.
func (r *Registry) uses(ctx context.Context) ([]agent.ImageUse, error) {
	if r.cfg.Uses == nil {
		return nil, errors.New("nobody tells which images are needed")
	}
	uses, err := r.cfg.Uses(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking which images are needed: %w", err)
	}
	return uses, nil
}

func (r *Registry) rules(uses []agent.ImageUse, budget int64) rules {
	return rules{uses: uses, young: r.cfg.Now().Add(-r.cfg.Grace), budget: budget}
}

// told is what a choice means, for people.
func (r *Registry) told(inv *inventory, c choice) agent.ImagePrune {
	done := agent.ImagePrune{
		Removed: []agent.Image{}, BeforeBytes: inv.size(), AfterBytes: c.after, BudgetBytes: r.cfg.Budget,
	}
	done.FreedBytes = done.BeforeBytes - done.AfterBytes
	for _, gone := range c.remove {
		for tag, at := range gone.tags {
			done.Removed = append(done.Removed, agent.Image{
				Name: gone.repository + ":" + tag, Digest: gone.digest.String(), SizeBytes: inv.sizeOf(gone.place), StoredAt: at.UTC(),
			})
		}
	}
	slices.SortFunc(done.Removed, func(a, b agent.Image) int { return strings.Compare(a.Name, b.Name) })
	return done
}

// report keeps in the activity what went, and what is in the way of the budget.
func (r *Registry) report(ctx context.Context, done agent.ImagePrune, apps []appSize, by string) {
	if done.FreedBytes > 0 || len(done.Removed) > 0 {
		r.cfg.Record(ctx, agent.Activity{
			Level: "info", Subject: "images", By: by,
			Message: fmt.Sprintf("the registry was cleaned up: %d images removed, %s freed, %s kept of a budget of %s",
				len(done.Removed), mebibytes(done.FreedBytes), mebibytes(done.AfterBytes), mebibytes(done.BudgetBytes)),
		})
	}
	if done.AfterBytes <= done.BudgetBytes {
		return
	}
	largest := make([]string, 0, 3)
	for _, app := range apps[:min(3, len(apps))] {
		largest = append(largest, fmt.Sprintf("%s (%s)", app.app, mebibytes(app.bytes)))
	}
	message := fmt.Sprintf("images take %s, over their budget of %s, and nothing more can go: kept releases, base images and new images need them",
		mebibytes(done.AfterBytes), mebibytes(done.BudgetBytes))
	if len(largest) > 0 {
		message += "; the largest apps are " + strings.Join(largest, ", ")
	}
	r.cfg.Record(ctx, agent.Activity{
		Level: "warning", Subject: "images", By: by,
		Message: message + "; delete an app that is not needed, or raise registry.budget in config.yaml",
	})
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// sizeOf is what the manifest and all that it leads to take, bytes.
func (inv *inventory) sizeOf(at place) int64 {
	blobs := map[digest.Digest]bool{}
	inv.reach(inv.manifests[at], map[place]bool{}, blobs)
	var total int64
	for d := range blobs {
		total += inv.blobs[d].size
	}
	return total
}
