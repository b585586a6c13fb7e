package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// The steps of a change of version, in their order. Each is written down
// before it begins, and comes to the same when it is done twice.
const (
	stepStage    = "stage"    // the programs lie beside those of the version that runs
	stepStop     = "stop"     // the agent ends; apps, gateway and engine go on
	stepSnapshot = "snapshot" // what the version that ran knows is copied
	stepSwitch   = "switch"   // the commands lead to the other version
	stepStart    = "start"    // the agent of the other version begins
	stepCheck    = "check"    // everything is healthy, and what answered before answers
	stepReturn   = "return"   // back to the version before
)

// Bounds of a change.
const (
	stopLimit   = time.Minute
	returnLimit = 10 * time.Minute
	keptChanges = 2 // snapshots
)

// change is a change of version as it is written down. What an outside reader
// wants to know is in Upgrade.
type change struct {
	agent.Upgrade
	Names     []string  `json:"names"`              // programs of the version that it goes to
	FromNames []string  `json:"fromNames"`          // and of the one it comes from
	Engine    bool      `json:"engine"`             // the engine's program is another
	Snapshot  string    `json:"snapshot,omitempty"` // folder with what the version before knew, once it is whole
	TakenAt   time.Time `json:"takenAt,omitzero"`   // when that was
	Restore   string    `json:"restore,omitempty"`  // folder of a snapshot that is put in place
	Routes    []string  `json:"routes,omitempty"`   // addresses that answered before
}

// readChange returns the last change; nil when there was none.
func (m *machine) readChange() (*change, error) {
	data, err := os.ReadFile(m.paths.UpgradeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last change of version: %w", err)
	}
	var c change
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("reading the last change of version, %s: %w", m.paths.UpgradeFile(), err)
	}
	return &c, nil
}

// writeChange puts how far a change is on disk.
func (m *machine) writeChange(c *change) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = replaceFile(m.paths.UpgradeFile(), append(data, '\n'), 0o600)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(m.paths.UpgradeFile()))
	}
	if err != nil {
		return fmt.Errorf("writing down how far the change of version is: %w", err)
	}
	return nil
}

// reach writes a step down and says it.
func (m *machine) reach(c *change, step, format string, args ...any) error {
	c.Step = step
	if err := m.writeChange(c); err != nil {
		return err
	}
	m.say(format, args...)
	if m.reached != nil {
		m.reached(step)
	}
	return nil
}

// halfChanged is what whoever would get between a change of version that was
// cut off hears; nil without one.
func (m *machine) halfChanged(c *change) error {
	if c == nil {
		return nil
	}
	return agent.Errorf(agent.CodeConflict, "run it again, it goes on from there: hks-installer upgrade --from FOLDER; or go back with: hks-installer rollback",
		"the %s from %s to %s was cut off while it was to %s", c.Kind, c.From, c.To, c.Step)
}

// finish writes the outcome down.
func (m *machine) finish(c *change, state agent.UpgradeState, reason string) error {
	c.State, c.Reason, c.EndedAt = state, reason, time.Now().UTC()
	return m.writeChange(c)
}

// carryOut brings a change that was written down to its end: to the other
// version, or back to the one before.
func (m *machine) carryOut(ctx context.Context, c *change, timeout time.Duration) error {
	if c.Step == stepReturn { // it was cut off on its way back
		return m.goBack(ctx, c, errors.New(c.Reason), timeout)
	}
	err := m.goForward(ctx, c, timeout)
	if err == nil {
		return m.finish(c, agent.UpgradeDone, "")
	}
	return m.goBack(ctx, c, err, timeout)
}

func (m *machine) goForward(ctx context.Context, c *change, timeout time.Duration) (err error) {
	started := c.Step == stepStart || c.Step == stepCheck // before it was cut off: its agent may have written since
	if !started && c.Step != stepSwitch {
		if err := m.reach(c, stepStop, "stopping the agent of %s; apps go on", c.From); err != nil {
			return err
		}
		if err := m.stopAgent(ctx); err != nil {
			return err
		}
		if err := m.reach(c, stepSnapshot, "taking a snapshot of what %s knows", c.From); err != nil {
			return err
		}
		c.TakenAt = time.Now().UTC()
		if c.Snapshot, err = m.takeSnapshot(ctx, c); err != nil {
			return err
		}
	}
	if err := m.reach(c, stepSwitch, "switching to %s", c.To); err != nil {
		return err
	}
	if c.Restore != "" && !started {
		if err := m.restoreSnapshot(ctx, c.Restore, c.Engine); err != nil {
			return err
		}
	}
	if err := m.switchTo(ctx, c.To, c.Names); err != nil {
		return err
	}
	if err := m.reach(c, stepStart, "starting the agent of %s", c.To); err != nil {
		return err
	}
	return m.startVersion(ctx, c, c.To, timeout)
}

// startVersion starts the agent and waits until it is the version meant,
// healthy, and what answered before answers again.
func (m *machine) startVersion(ctx context.Context, c *change, version string, timeout time.Duration) (err error) {
	s, err := m.agentService()
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	defer func() { err = errors.Join(err, s.Detach(context.WithoutCancel(ctx))) }()
	if c.Step == stepStart {
		if err := m.reach(c, stepCheck, "waiting until everything is healthy, for %s at most", timeout); err != nil {
			return err
		}
	}
	if err := m.waitHealthy(ctx, s, timeout); err != nil {
		return err
	}
	api, err := m.client()
	if err != nil {
		return err
	}
	info, err := api.Info(ctx)
	if err != nil {
		return err
	}
	if info.Version != version {
		return fmt.Errorf("the agent that answers is version %s, not %s", info.Version, version)
	}
	return m.waitRoutes(ctx, c.Routes, time.Minute)
}

func (m *machine) stopAgent(ctx context.Context) error {
	s, err := m.agentService()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		return fmt.Errorf("stopping the agent: %w", err)
	}
	return nil
}

// switchTo leads the commands to the programs of a version.
func (m *machine) switchTo(ctx context.Context, version string, names []string) (err error) {
	j, err := OpenJournal(m.journalFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if _, err := m.applySteps(ctx, j, []step{&linksStep{paths: m.paths, version: version, names: names}}); err != nil {
		return fmt.Errorf("switching to %s: %w", version, err)
	}
	return nil
}

// goBack has the version before serve again, with what it knew. It is not
// hurried by whoever ends the installer.
func (m *machine) goBack(ctx context.Context, c *change, cause error, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(returnLimit, 2*timeout))
	defer cancel()
	at := c.Step
	c.Reason = cause.Error()
	m.say("it failed: %s", c.Reason)
	if err := m.reach(c, stepReturn, "going back to %s", c.From); err != nil {
		return errors.Join(cause, err)
	}
	if err := m.returnTo(ctx, c, timeout); err != nil {
		stuck := m.finish(c, agent.UpgradeStuck, fmt.Sprintf("%s; and the way back: %s", c.Reason, err))
		return &agent.Error{
			Code:    agent.CodeClusterAway,
			Message: fmt.Sprintf("the %s to %s failed while it was to %s: %v\nand going back to %s failed too: %v", c.Kind, c.To, at, cause, c.From, err),
			Fix:     "read " + m.logPlace() + ", mend what it complains of, and run the same command again: it goes on with the way back; apps are not touched",
			Cause:   errors.Join(cause, err, stuck),
		}
	}
	if err := m.finish(c, agent.UpgradeReturned, c.Reason); err != nil {
		return errors.Join(cause, err)
	}
	return &agent.Error{
		Code:    agent.CodeConflict,
		Message: fmt.Sprintf("the %s to %s failed, and %s serves again with all it knew: %s", c.Kind, c.To, c.From, c.Reason),
		Fix:     "nothing is broken; mend what it says, or wait for another version, then try again",
		Cause:   cause,
	}
}

func (m *machine) returnTo(ctx context.Context, c *change, timeout time.Duration) error {
	if m.serves(ctx, c.From) {
		return nil // it was cut off after all was done, and what was written since must stay
	}
	if c.Snapshot != "" { // else nothing was switched
		if err := m.stopAgent(ctx); err != nil {
			return err
		}
		if err := m.switchTo(ctx, c.From, c.FromNames); err != nil {
			return err
		}
		if err := m.restoreSnapshot(ctx, c.Snapshot, c.Engine); err != nil {
			return err
		}
	}
	return m.startVersion(ctx, c, c.From, timeout)
}

// serves tells whether a version is the one in place and answers.
func (m *machine) serves(ctx context.Context, version string) bool {
	installed, _, err := m.installedVersion()
	if err != nil || installed != version {
		return false
	}
	api, err := m.client()
	if err != nil {
		return false
	}
	info, err := api.Info(ctx)
	return err == nil && info.Version == version
}

// installedVersion is the version that the commands lead to, and its programs.
func (m *machine) installedVersion() (version string, names []string, err error) {
	target, err := os.Readlink(m.paths.Bin("hks-agent"))
	if err != nil || filepath.Dir(filepath.Dir(target)) != m.paths.Versions() {
		return "", nil, &agent.Error{
			Code:    agent.CodeNotFound,
			Message: "no hks is installed here",
			Fix:     "install it first: hks-installer up --from FOLDER",
		}
	}
	version = filepath.Base(filepath.Dir(target))
	names, err = m.programsOf(version)
	return version, names, err
}

// programsOf lists the programs of an installed version.
func (m *machine) programsOf(version string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(m.paths.Versions(), version))
	if err != nil {
		return nil, fmt.Errorf("looking at version %s: %w", version, err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && !strings.HasSuffix(entry.Name(), ".tmp") {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// sameProgram tells whether two versions have the same program.
func (m *machine) sameProgram(name, a, b string) (bool, error) {
	left, err := hashFile(filepath.Join(m.paths.Versions(), a, name))
	if errors.Is(err, fs.ErrNotExist) {
		left, err = "", nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", name, err)
	}
	right, err := hashFile(filepath.Join(m.paths.Versions(), b, name))
	if errors.Is(err, fs.ErrNotExist) {
		right, err = "", nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", name, err)
	}
	return left == right, nil
}

// tidyVersions removes programs and snapshots that no way leads back to.
func (m *machine) tidyVersions(c *change) error {
	entries, err := os.ReadDir(m.paths.Versions())
	if err != nil {
		return fmt.Errorf("looking for earlier versions: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != c.From && entry.Name() != c.To {
			if err := os.RemoveAll(filepath.Join(m.paths.Versions(), entry.Name())); err != nil {
				return fmt.Errorf("removing an earlier version: %w", err)
			}
		}
	}
	snapshots, err := os.ReadDir(m.snapshots())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for earlier snapshots: %w", err)
	}
	for i, entry := range snapshots { // by time, as their names begin with it
		if folder := filepath.Join(m.snapshots(), entry.Name()); i < len(snapshots)-keptChanges && folder != c.Snapshot {
			if err := os.RemoveAll(folder); err != nil {
				return fmt.Errorf("removing an earlier snapshot: %w", err)
			}
		}
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
