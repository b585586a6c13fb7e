package installer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"hks.dev/hks/agent"
)

type uninstallOptions struct {
	keepData bool
	yes      bool
	dryRun   bool
	json     bool
}

// uninstall takes the appliance off the machine: everything that was changed
// is changed back, the last change first. With keepData its data and settings
// stay, so that up finds all as it was.
func (m *machine) uninstall(ctx context.Context, o uninstallOptions) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	plan, err := m.removalPlan(ctx, o.keepData)
	if err != nil {
		return err
	}
	if o.dryRun {
		if o.json {
			return m.printJSON(plan)
		}
		for _, line := range plan.lines() {
			fmt.Fprintln(m.out, line)
		}
		return nil
	}
	if !o.yes {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("reading the host name: %w", err)
		}
		for _, line := range plan.lines() {
			m.say("%s", line)
		}
		question := fmt.Sprintf("This takes hks off the machine %s; apps are served no more. Data and settings stay.", name)
		if !o.keepData {
			question = fmt.Sprintf("This takes hks off the machine %s, with all apps, volumes, images, backups on it, and settings, for good.", name)
		}
		if err := m.confirm(question, name); err != nil {
			return err
		}
	}
	if o.json {
		out := m.out
		m.out = m.err // the words of the verbs below
		defer func() { m.out = out }()
		if err := m.removeAll(ctx, o.keepData); err != nil {
			return err
		}
		m.out = out
		return m.printJSON(struct {
			Removed  bool `json:"removed"`
			KeptData bool `json:"keptData"`
		}{true, o.keepData})
	}
	return m.removeAll(ctx, o.keepData)
}

func (m *machine) removeAll(ctx context.Context, keepData bool) error {
	if keepData {
		return m.down(ctx)
	}
	return m.purge(ctx, true)
}

// removal is what an uninstall takes away.
type removal struct {
	Stops   []string `json:"stops"`   // processes that run
	Changes int      `json:"changes"` // of the journal, that are undone
	Volumes []string `json:"volumes"` // that are unmounted
	Folders []string `json:"folders"` // that are removed
	Keeps   []string `json:"keeps"`   // that stay
}

func (m *machine) removalPlan(ctx context.Context, keepData bool) (removal, error) {
	plan := removal{Stops: []string{}, Volumes: []string{}, Folders: []string{m.paths.Versions(), m.runFiles()}, Keeps: []string{}}
	all, err := m.services()
	if err != nil {
		return plan, err
	}
	for _, s := range all {
		if state, err := s.State(ctx); err == nil && state.Running {
			plan.Stops = append(plan.Stops, s.name)
		}
	}
	if exists(m.journalFile()) {
		j, err := readJournal(m.journalFile())
		if err != nil {
			return plan, err
		}
		plan.Changes = len(j.pending)
	}
	disks, err := m.disks()
	if err != nil {
		return plan, err
	}
	if mounted, err := disks.Mounted(); err == nil && mounted != nil {
		plan.Volumes = mounted
	}
	data := []string{m.paths.State(), m.paths.K3sData(), filepath.Dir(m.paths.ConfigFile()), m.paths.Logs()}
	if keepData {
		plan.Keeps = data
	} else {
		plan.Folders = append(plan.Folders, data...)
	}
	return plan, nil
}

func (r removal) lines() []string {
	var lines []string
	for _, name := range r.Stops {
		lines = append(lines, "stops    "+name)
	}
	for _, id := range r.Volumes {
		lines = append(lines, "unmounts volume "+id)
	}
	lines = append(lines, fmt.Sprintf("undoes   %d changes of the machine", r.Changes))
	for _, folder := range r.Folders {
		lines = append(lines, "removes  "+folder)
	}
	for _, folder := range r.Keeps {
		lines = append(lines, "keeps    "+folder)
	}
	return lines
}

func (m *machine) printJSON(value any) error {
	enc := json.NewEncoder(m.out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// resetPassword prints a one-time link with which the owner sets another
// password. Whoever is root here owns the machine anyway.
func (m *machine) resetPassword(ctx context.Context, revokeTokens, asJSON bool) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	c, err := m.client()
	if err != nil {
		return err
	}
	link, err := c.PasswordLink(ctx, agent.PasswordReset{RevokeTokens: revokeTokens})
	if err != nil {
		if away(err) {
			return &agent.Error{Code: agent.CodeClusterAway, Message: fmt.Sprintf("the agent does not answer, and only it may change the password: %v", err), Fix: "see what is wrong with: hks-installer doctor", Cause: err}
		}
		return err
	}
	if asJSON {
		return m.printJSON(link)
	}
	m.say("Open this link and choose a new password. It works once and for an hour; then all sessions end.")
	if revokeTokens {
		m.say("All API tokens are revoked already: log in again with hks login where they were used.")
	} else {
		m.say("API tokens stay good; --revoke-tokens ends them too.")
	}
	fmt.Fprintln(m.out, link.URL)
	return nil
}
