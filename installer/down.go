package installer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/k3s"
)

// cleanLimit bounds a whole removal.
const cleanLimit = 5 * time.Minute

// down stops everything and takes it off the machine. It needs no agent that
// works, and does nothing when there is nothing.
func (m *machine) down(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	cleaner, err := m.cleaner()
	if err != nil {
		return err
	}
	err = m.takeDown(ctx, cleaner)
	if err := m.prove(ctx, cleaner, err, "take hks down"); err != nil {
		return err
	}
	fmt.Fprintln(m.out, "hks is down; its data and settings are kept.")
	return nil
}

// purge is down, and removes what down keeps.
func (m *machine) purge(ctx context.Context, yes bool) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	if !yes {
		if err := m.confirm("This removes the cluster with all apps and volumes, the images, the database and the settings of hks for good.", "purge"); err != nil {
			return err
		}
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	cleaner, err := m.cleaner()
	if err != nil {
		return err
	}
	err = m.takeDown(ctx, cleaner)
	if err == nil { // else the journal and the data are needed to try again
		m.say("removing data and settings")
		err = errors.Join(
			cleaner.Purge(ctx),
			cleaner.RemoveTrees(filepath.Dir(m.paths.ConfigFile()), m.paths.State(), m.paths.Logs()),
		)
	}
	if err := m.prove(ctx, cleaner, err, "purge hks"); err != nil {
		return err
	}
	fmt.Fprintln(m.out, "hks and all of its data are gone.")
	return nil
}

func (m *machine) disks() (*disk.Disks, error) { return disk.New(disk.Config{Dir: m.paths.Volumes()}) }

func (m *machine) cleaner() (*k3s.Cleaner, error) {
	return k3s.NewCleaner(k3s.CleanerConfig{DataDir: m.paths.K3sData(), ConfigDir: filepath.Dir(m.paths.K3sConfig())})
}

// takeDown runs every step, also after one that fails, and joins the errors.
func (m *machine) takeDown(ctx context.Context, cleaner *k3s.Cleaner) error {
	all, err := m.services()
	if err != nil {
		return err
	}
	var failed []error
	for _, s := range all {
		state, err := s.State(ctx)
		if err == nil && state.Running {
			m.say("stopping %s", s.name)
		}
		stop := s.Stop
		if r, ok := s.service.(remover); ok {
			stop = r.Remove
		}
		if err := stop(ctx); err != nil {
			failed = append(failed, err)
		}
	}
	m.say("removing containers, mounts, interfaces and packet rules")
	builds, err := m.builds()
	if err != nil {
		return err
	}
	failed = append(failed, builds.Remove(ctx), cleaner.Cleanup(ctx))
	disks, err := m.disks()
	if err != nil {
		return err
	}
	failed = append(failed, disks.UnmountAll(ctx)) // their pods have ended
	failed = append(failed, m.undoChanges(ctx))
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return cleaner.RemoveTrees(m.runFiles())
}

func (m *machine) undoChanges(ctx context.Context) (err error) {
	if !exists(m.journalFile()) {
		return nil // nothing was changed
	}
	j, err := OpenJournal(m.journalFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	return m.undoSteps(ctx, j, m.steps(j))
}

// prove looks whether anything is left, and lists it.
func (m *machine) prove(ctx context.Context, cleaner *k3s.Cleaner, failed error, doing string) error {
	left, err := cleaner.Leftovers(ctx)
	if err != nil {
		failed = errors.Join(failed, err)
	}
	builds, err := m.builds()
	if err == nil {
		var more []string
		more, err = builds.Leftovers()
		left = append(left, more...)
	}
	if err != nil {
		failed = errors.Join(failed, err)
	}
	if disks, err := m.disks(); err != nil {
		failed = errors.Join(failed, err)
	} else if mounted, err := disks.Mounted(); err != nil {
		failed = errors.Join(failed, err)
	} else {
		for _, id := range mounted {
			left = append(left, "the mounted volume "+id)
		}
	}
	pids, err := m.ownPIDs(ctx)
	if err != nil {
		failed = errors.Join(failed, err)
	}
	for _, pid := range pids {
		left = append(left, fmt.Sprintf("process %d of hks", pid))
	}
	for _, name := range append([]string{"k3s"}, programs...) {
		if target, err := os.Readlink(m.paths.Bin(name)); err == nil && strings.HasPrefix(target, m.paths.Versions()+"/") {
			left = append(left, "link "+m.paths.Bin(name))
		}
	}
	if failed == nil && len(left) == 0 {
		return nil
	}
	message := "could not " + doing + " completely"
	if failed != nil {
		message += ":\n  " + strings.ReplaceAll(failed.Error(), "\n", "\n  ")
	}
	if len(left) > 0 {
		message += "\nstill there:\n  " + strings.Join(left, "\n  ")
	}
	return &agent.Error{
		Code:    agent.CodeConflict,
		Message: message,
		Fix:     "end what holds it (lsof or fuser show that), then run the same command again; it goes on from here",
		Details: map[string]any{"left": left},
		Cause:   failed,
	}
}
