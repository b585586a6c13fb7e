package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

type upgradeOptions struct {
	from    string // folder of an unpacked bundle
	timeout time.Duration
	dryRun  bool
	json    bool
}

// upgrade brings the appliance to the version in a folder, and back by itself
// when that version does not get healthy. Apps are served throughout.
func (m *machine) upgrade(ctx context.Context, o upgradeOptions) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	if o.from == "" {
		return usageError{errors.New("upgrade needs --from: the folder of an unpacked bundle")}
	}
	if err := m.verifySource(o.from); err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	to, err := programVersion(ctx, filepath.Join(o.from, "hks-agent"))
	if err != nil {
		return err
	}
	before, err := m.unfinished()
	if err != nil {
		return err
	}
	if before != nil {
		goesOn := before.Kind == agent.KindUpgrade && before.To == to && before.Step != stepReturn
		switch {
		case o.dryRun:
			m.say("the %s to %s was cut off while it was to %s; a run goes on with that", before.Kind, before.To, before.Step)
			return nil
		case goesOn:
			m.say("going on with the upgrade to %s, which was cut off while it was to %s", to, before.Step)
		default:
			if err := m.settle(ctx, before, o.timeout); err != nil {
				return err
			}
			before = nil
		}
	}
	c := before
	if c == nil || c.Step == stepStage {
		if c, err = m.planUpgrade(ctx, o, to); err != nil || c == nil {
			return err
		}
		if o.dryRun {
			m.explain(c)
			return m.report(o.json, c)
		}
		if err := m.stage(ctx, o, c); err != nil {
			reason := err.Error()
			return errors.Join(err, m.finish(c, agent.UpgradeReturned, reason+" (nothing was changed)"))
		}
	}
	if err := m.carryOut(ctx, c, o.timeout); err != nil {
		return errors.Join(err, m.report(o.json, c))
	}
	if err := m.loadBaseImages(ctx, o.from); err != nil {
		m.say("warning: the new version's base images are not loaded: %v", err)
		m.say("  fix: hks-installer up --from %s loads them", o.from)
	}
	if err := m.tidyVersions(c); err != nil {
		m.say("warning: %v", err)
	}
	m.say("upgraded from %s to %s in %s; the way back is: hks-installer rollback", c.From, c.To, c.EndedAt.Sub(c.StartedAt).Round(time.Second))
	return m.report(o.json, c)
}

// verifySource checks the bundle. A build that belongs to no bundle may come
// from a folder without a seal, as there is nothing to check it by.
func (m *machine) verifySource(from string) error {
	if !exists(filepath.Join(from, BundleSums)) && m.cfg.BundleKey == "" {
		return nil
	}
	return VerifyBundle(from, m.cfg.BundleKey)
}

// unfinished returns a change that was cut off; nil when there is none.
func (m *machine) unfinished() (*change, error) {
	c, err := m.readChange()
	if err != nil || c == nil || (c.State != agent.UpgradeRunning && c.State != agent.UpgradeStuck) {
		return nil, err
	}
	if c.State == agent.UpgradeStuck {
		c.State, c.Step = agent.UpgradeRunning, stepReturn
	}
	return c, nil
}

// settle brings a change that was cut off to an end, for one that is another.
func (m *machine) settle(ctx context.Context, c *change, timeout time.Duration) error {
	if c.Step == stepStage {
		return m.finish(c, agent.UpgradeReturned, "it was cut off before anything was changed")
	}
	m.say("the %s to %s was cut off while it was to %s; first it is brought to an end", c.Kind, c.To, c.Step)
	err := m.goBack(ctx, c, errors.New("it was cut off"), timeout)
	if c.State == agent.UpgradeReturned {
		return nil
	}
	return err
}

// planUpgrade finds out what is to be done; nil when there is nothing.
func (m *machine) planUpgrade(ctx context.Context, o upgradeOptions, to string) (*change, error) {
	from, fromNames, err := m.installedVersion()
	if err != nil {
		return nil, err
	}
	if exists(m.paths.NodeFile()) {
		return nil, agent.Errorf(agent.CodeInvalid, "upgrade the appliance; then join this machine anew by the line that it shows", "this machine is a node of another appliance")
	}
	files, err := m.programs(upOptions{from: o.from})
	if err != nil {
		return nil, err
	}
	files.version = to
	order, known := compareVersions(to, from)
	if known && order < 0 {
		return nil, &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("%s is older than %s, which is installed; an older version does not understand what a newer one wrote", to, from),
			Fix:     "go back to the version before with: hks-installer rollback",
		}
	}
	if to == from {
		changes, err := files.check(ctx)
		if err != nil {
			return nil, err
		}
		if len(changes) == 0 {
			m.say("%s is installed already; nothing was changed", to)
			return nil, nil
		}
		return nil, &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("%s is installed, and %s holds other programs that call themselves the same", to, o.from),
			Fix:     "to exchange the programs of a version without a way back: hks-installer up --from " + o.from,
		}
	}
	if err := m.checkRoom(files); err != nil {
		return nil, err
	}
	c := &change{
		Upgrade: agent.Upgrade{Kind: agent.KindUpgrade, From: from, To: to, State: agent.UpgradeRunning, Step: stepStage, StartedAt: time.Now().UTC()},
		Names:   files.order, FromNames: fromNames,
	}
	if err := m.checkBefore(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// checkBefore refuses to change a version that is not healthy: nobody could
// tell what the new one broke.
func (m *machine) checkBefore(ctx context.Context, c *change) error {
	api, err := m.client()
	if err != nil {
		return err
	}
	system, err := api.System(ctx)
	if err != nil {
		return &preflightError{&agent.Error{
			Code: agent.CodeClusterAway, Message: fmt.Sprintf("the agent does not answer, so that its health can't be compared; nothing was changed: %v", err),
			Fix: "see what is wrong with: hks-installer doctor", Cause: err,
		}}
	}
	for _, part := range system.Parts {
		if !part.Healthy {
			return &preflightError{&agent.Error{
				Code: agent.CodeConflict, Message: fmt.Sprintf("%s is not healthy (%s), so that nobody could tell what another version broke; nothing was changed", part.Name, part.Message),
				Fix: "mend it first: hks-installer doctor says how",
			}}
		}
	}
	c.Routes, err = m.answeringRoutes(ctx)
	return err
}

// checkRoom refuses when there is no room for the programs and a snapshot.
func (m *machine) checkRoom(files *filesStep) error {
	var need int64 = 256 << 20 // the rest of the machine goes on writing
	for _, source := range files.sources {
		if info, err := os.Stat(source); err == nil {
			need += info.Size()
		}
	}
	for _, file := range []string{m.paths.State("hks.db"), m.engineDatabase()} {
		if info, err := os.Stat(file); err == nil {
			need += 2 * info.Size() // the copy, and one more when it is put back
		}
	}
	for _, dir := range []string{m.paths.Versions(), m.paths.State()} {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return fmt.Errorf("looking at the free space of %s: %w", dir, err)
		}
		if free := int64(st.Bavail) * st.Bsize; free < need {
			return &preflightError{&agent.Error{
				Code:    agent.CodeNoSpace,
				Message: fmt.Sprintf("%s has %.1f GiB free, an upgrade needs %.1f GiB there; nothing was changed", dir, gib(free), gib(need)),
				Fix:     "free some space: hks image prune, hks build prune",
			}}
		}
	}
	return nil
}

// stage lays the new programs beside those that run, and tries them.
func (m *machine) stage(ctx context.Context, o upgradeOptions, c *change) (err error) {
	files, err := m.programs(upOptions{from: o.from})
	if err != nil {
		return err
	}
	files.version = c.To
	if err := m.reach(c, stepStage, "placing the programs of %s beside those of %s", c.To, c.From); err != nil {
		return err
	}
	j, err := OpenJournal(m.journalFile())
	if err != nil {
		return err
	}
	_, err = m.applySteps(ctx, j, []step{&settingsStep{folder: "/proc/sys", journal: j}, files})
	if err := errors.Join(err, j.Close()); err != nil {
		return err
	}
	version, err := programVersion(ctx, filepath.Join(m.paths.Versions(), c.To, "hks-agent"))
	if err != nil {
		return err
	}
	if version != c.To {
		return fmt.Errorf("the placed agent is version %s, not %s", version, c.To)
	}
	if slices.Contains(c.Names, "k3s") {
		same, err := m.sameProgram("k3s", c.From, c.To)
		if err != nil {
			return err
		}
		c.Engine = !same
	}
	return m.placeImages(upOptions{from: o.from})
}

// explain says what an upgrade would do.
func (m *machine) explain(c *change) {
	m.say("would %s from %s to %s:", c.Kind, c.From, c.To)
	m.say("  place the programs below %s", filepath.Join(m.paths.Versions(), c.To))
	m.say("  stop the agent, take a snapshot below %s, switch, start the agent", m.snapshots())
	m.say("  wait until everything is healthy and %d addresses of apps answer as now", len(c.Routes))
	m.say("  go back to %s by itself when that fails", c.From)
}

// report prints a change's outcome as JSON, where that is asked for.
func (m *machine) report(asJSON bool, c *change) error {
	if !asJSON {
		return nil
	}
	enc := json.NewEncoder(m.out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c.Upgrade); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
