package installer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

type rollbackOptions struct {
	keepData bool // programs only
	yes      bool
	timeout  time.Duration
	dryRun   bool
	json     bool
}

// shownLosses is how many lines of what would be lost are shown.
const shownLosses = 10

// rollback brings the version before back, with what it knew then.
func (m *machine) rollback(ctx context.Context, o rollbackOptions) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	last, err := m.unfinished()
	if err != nil {
		return err
	}
	if last != nil {
		if o.dryRun {
			m.say("the %s to %s was cut off while it was to %s; a run brings it to an end", last.Kind, last.To, last.Step)
			return nil
		}
		if last.Kind == agent.KindRollback {
			m.say("going on with the rollback to %s, which was cut off while it was to %s", last.To, last.Step)
			return m.finishRollback(ctx, last, o)
		}
		return m.settle(ctx, last, o.timeout) // the version before is what is asked for
	}
	c, err := m.planRollback(ctx, o)
	if err != nil {
		return err
	}
	if o.dryRun {
		return m.report(o.json, c)
	}
	if !o.yes {
		if err := m.confirm(fmt.Sprintf("This brings the appliance from %s back to %s. Apps go on.", c.From, c.To), c.To); err != nil {
			return err
		}
	}
	return m.finishRollback(ctx, c, o)
}

func (m *machine) finishRollback(ctx context.Context, c *change, o rollbackOptions) error {
	if err := m.carryOut(ctx, c, o.timeout); err != nil {
		return errors.Join(err, m.report(o.json, c))
	}
	if err := m.tidyVersions(c); err != nil {
		m.say("warning: %v", err)
	}
	m.say("version %s serves again", c.To)
	return m.report(o.json, c)
}

// planRollback finds the version before and says what going back to it costs.
func (m *machine) planRollback(ctx context.Context, o rollbackOptions) (*change, error) {
	from, fromNames, err := m.installedVersion()
	if err != nil {
		return nil, err
	}
	last, err := m.readChange()
	if err != nil {
		return nil, err
	}
	if last == nil || last.State != agent.UpgradeDone || last.To != from || last.Snapshot == "" {
		return nil, agent.Errorf(agent.CodeNotFound, "install another version with: hks-installer upgrade --from FOLDER", "there is no version to go back to from %s: the last change of version did not lead to it", from)
	}
	names, err := m.programsOf(last.From)
	if err != nil || !slices.Contains(names, "hks-agent") {
		return nil, agent.Errorf(agent.CodeNotFound, "restore a backup of the appliance, or install "+last.From+" from its bundle", "the programs of %s are no longer here", last.From)
	}
	c := &change{
		Upgrade: agent.Upgrade{Kind: agent.KindRollback, From: from, To: last.From, State: agent.UpgradeRunning, Step: stepStage, StartedAt: time.Now().UTC()},
		Names:   names, FromNames: fromNames,
	}
	same, err := m.sameProgram("k3s", from, last.From)
	if err != nil {
		return nil, err
	}
	c.Engine = !same && slices.Contains(names, "k3s")
	if o.keepData {
		return c, m.checkKeepsData(ctx, c, last)
	}
	c.Restore = last.Snapshot
	return c, m.sayLosses(ctx, last.TakenAt, c.Engine)
}

// checkKeepsData refuses where the older version could not read what is there.
func (m *machine) checkKeepsData(ctx context.Context, c, last *change) error {
	then, err := store.InspectFile(ctx, filepath.Join(last.Snapshot, snapshotState))
	if err != nil {
		return err
	}
	now, err := store.InspectFile(ctx, m.paths.State("hks.db"))
	if err != nil {
		return err
	}
	if then.Schema != now.Schema || c.Engine {
		return agent.Errorf(agent.CodeConflict, "go back with the snapshot, without --keep-data; what is lost is said before it is done",
			"%s can't read what %s wrote: the database or the engine is of another version", c.To, c.From)
	}
	return nil
}

// sayLosses says what the snapshot does not know.
func (m *machine) sayLosses(ctx context.Context, since time.Time, engine bool) error {
	lines, count, err := store.ActivitiesIn(ctx, m.paths.State("hks.db"), since.UnixMilli(), shownLosses)
	if err != nil {
		return err
	}
	m.say("The database goes back to %s.", since.Local().Format("2006-01-02 15:04:05"))
	if engine {
		m.say("So do the objects of the cluster: what was deployed since is gone from it.")
	} else {
		m.say("The cluster stays as it is: what was deployed since goes on, unknown to hks until it is deployed again.")
	}
	if count == 0 {
		m.say("Nothing has happened since.")
		return nil
	}
	m.say("%d things have happened since, and are lost; the last of them:", count)
	for _, line := range lines {
		m.say("  %s", strings.ReplaceAll(line, "\n", " "))
	}
	m.say("Where the version before can read today's data, --keep-data keeps all of it.")
	return nil
}
