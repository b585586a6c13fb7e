package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newApplianceCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "appliance",
		Short: "Save the whole appliance, try the archives, look for updates",
		Long: `Save the whole appliance into one encrypted archive, and prove that it can be
restored. The archive holds the agent's database, the cluster's datastore, keys,
tokens, certificates, settings, functions, the images that releases need and the
services' newest backups; volumes only with --volumes.

On a clean machine, as root: hks-installer restore ARCHIVE. It asks for the
recovery key: hks recovery-key shows it. Keep it elsewhere than the archives.`,
		Args: noCommand,
		RunE: showHelp,
	}
	backup := &cobra.Command{Use: "backup", Short: "Archives of the whole appliance", Args: noCommand, RunE: showHelp}
	backup.AddCommand(newApplianceBackupCreateCommand(s), newApplianceBackupListCommand(s), newApplianceBackupShowCommand(s), newApplianceBackupDownloadCommand(s), newApplianceBackupDeleteCommand(s))
	cmd.AddCommand(backup, newApplianceDrillCommand(s), newApplianceScheduleCommand(s), newApplianceUpdateCommand(s))
	return cmd
}

// applianceJob begins a job of the appliance and follows it.
type applianceJob struct {
	*session
	noWait bool
}

func (o *applianceJob) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as it is accepted")
}

func (o *applianceJob) run(ctx context.Context, begin func(context.Context, *client.Client) (agent.ApplianceJob, error), said func(agent.ApplianceJob) string) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		job, err := begin(ctx, c)
		if err != nil {
			return err
		}
		if o.noWait {
			if o.json {
				return o.screen.printJSON(job)
			}
			o.screen.print("%s is accepted; see it: hks appliance backup list", job.Kind)
			return nil
		}
		job, err = c.FollowApplianceJob(ctx, job, func(step agent.JobStep) { o.screen.note("%s", clean(step.Text)) })
		if err != nil {
			return err
		}
		if job.Failure != nil {
			return &agent.Error{Code: job.Failure.Code, Message: job.Failure.Message, Fix: job.Failure.Fix}
		}
		if o.json {
			return o.screen.printJSON(job)
		}
		o.screen.print("%s", said(job))
		return o.hint(ctx, c)
	})
}

// hint says once more what nobody may forget.
func (o *applianceJob) hint(ctx context.Context, c *client.Client) error {
	state, err := c.ApplianceBackups(ctx)
	if err != nil {
		return err
	}
	if state.KeyShown.IsZero() {
		o.screen.note("nobody has seen the recovery key yet, and without it no archive opens: hks recovery-key")
	}
	return nil
}

func newApplianceBackupCreateCommand(s *session) *cobra.Command {
	o := applianceJob{session: s}
	var volumes bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Save the whole appliance into one encrypted archive",
		Example: `  hks appliance backup create
  hks appliance backup create --volumes`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ApplianceJob, error) {
				return c.BackUpAppliance(ctx, volumes)
			}, func(j agent.ApplianceJob) string {
				return fmt.Sprintf("the appliance is saved as backup %d; try it: hks appliance drill", j.Backup)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&volumes, "volumes", false, "with the volumes of apps and services")
	return cmd
}

func newApplianceDrillCommand(s *session) *cobra.Command {
	o := applianceJob{session: s}
	cmd := &cobra.Command{
		Use:   "drill [BACKUP]",
		Short: "Restore an archive into scratch and look whether all is there",
		Long: `Restore an archive into a folder beside it and look whether all is there: that the
recovery key opens it, that each file has the hash that was saved, that both databases
are sound and have the rows that were saved, that the sealing key opens the secrets,
and that each image that a release needs is there. No cluster is started from it.`,
		Example: `  hks appliance drill
  hks appliance drill 12`,
		Args:              takes("[BACKUP]"),
		ValidArgsFunction: s.completeApplianceBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := applianceBackupNumber(args)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ApplianceJob, error) {
				return c.DrillAppliance(ctx, id)
			}, func(j agent.ApplianceJob) string { return fmt.Sprintf("backup %d is good", j.Backup) })
		},
	}
	o.flags(cmd)
	return cmd
}

func newApplianceBackupListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the archives, the newest first, and what happens by itself",
		Example: "  hks appliance backup list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				state, err := c.ApplianceBackups(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(state)
				}
				return s.showApplianceBackups(state)
			})
		},
	}
}

func (s *session) showApplianceBackups(state agent.ApplianceBackups) error {
	if len(state.Backups) == 0 {
		s.screen.note("the appliance was never saved; do it: hks appliance backup create")
	} else {
		t := newTable("BACKUP", "WHEN", "SIZE", "UNPACKED", "MADE", "DRILL", "COPY")
		for _, b := range state.Backups {
			copied := b.Remote
			if b.CopyError != "" {
				copied = s.screen.style.red("failed: " + clean(b.CopyError))
			}
			t.row(strconv.FormatInt(b.ID, 10), ago(s.now(), b.CreatedAt), bytesText(b.Bytes), bytesText(b.Contents.Bytes), b.Trigger, s.drillWord(b.Drill), copied)
		}
		if err := t.write(s.screen.out, s.screen.style); err != nil {
			return err
		}
	}
	if state.Running != nil {
		s.screen.note("a %s goes on since %s", state.Running.Kind, ago(s.now(), state.Running.CreatedAt))
	}
	if state.Last != nil && state.Last.Failure != nil {
		s.screen.note("the last one failed %s: %s", ago(s.now(), state.Last.FinishedAt), clean(state.Last.Failure.Message))
	}
	s.screen.note("%s", scheduleWords(s.now(), state.Schedule))
	if state.KeyShown.IsZero() {
		s.screen.note("nobody has seen the recovery key yet, and without it no archive opens: hks recovery-key")
	}
	return nil
}

func (s *session) drillWord(d *agent.ApplianceDrill) string {
	switch {
	case d == nil:
		return "never"
	case d.Good:
		return "good, " + ago(s.now(), d.At)
	}
	return s.screen.style.red("bad, " + ago(s.now(), d.At))
}

func scheduleWords(now time.Time, s agent.ApplianceSchedule) string {
	if s.EveryMins == 0 {
		return "none is made by itself: on the plan pro it is daily, or set backup.every in config.yaml"
	}
	next := "now"
	if s.Next.After(now) {
		next = "in " + span(s.Next.Sub(now))
	}
	return fmt.Sprintf("every %s by itself (%s), %d are kept; the next one %s", span(time.Duration(s.EveryMins)*time.Minute), s.Source, s.Keep, next)
}

func newApplianceBackupShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "show BACKUP",
		Short:             "Tell what is in an archive, and what its last drill found",
		Example:           "  hks appliance backup show 12",
		Args:              takes("BACKUP"),
		ValidArgsFunction: s.completeApplianceBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := applianceBackupNumber(args)
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				b, err := c.ApplianceBackup(ctx, id)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(b)
				}
				s.showApplianceBackup(b)
				return nil
			})
		},
	}
}

func (s *session) showApplianceBackup(b agent.ApplianceBackup) {
	line := func(name, format string, args ...any) {
		s.screen.print("%s %s", s.screen.style.dim(fmt.Sprintf("%-10s", name)), clean(fmt.Sprintf(format, args...)))
	}
	p := b.Contents
	line("file", "%s, %s", b.File, bytesText(b.Bytes))
	line("sha256", "%s", b.SHA256)
	line("made", "%s, %s by %s", ago(s.now(), b.CreatedAt), b.Trigger, b.By)
	line("of", "hks %s on %s (%s, node %s)", p.Version, p.Machine, p.Address, p.Node)
	line("holds", "%d files, %s; %d apps, %d releases, %d cron jobs, %d functions, %d tokens", p.Files, bytesText(p.Bytes), p.Rows["app"], p.Rows["release"], p.Rows["cron_job"], p.Rows["function"], p.Rows["token"])
	line("cluster", "%d rows", p.Objects)
	line("images", "%d in %d parts", p.Images, p.Blobs)
	for _, v := range p.Volumes {
		line("volume", "%s, %s; its writes waited %s", v.Claim, bytesText(v.Bytes), v.Paused.Round(time.Millisecond))
	}
	for _, what := range p.LeftOut {
		line("left out", "%s", what)
	}
	if b.Remote != "" {
		line("copy", "%s", b.Remote)
	}
	line("drill", "%s", s.drillWord(b.Drill))
	if b.Drill != nil {
		line("", "%s", b.Drill.Message)
		for _, what := range b.Drill.Checked {
			line("", "  %s", what)
		}
	}
}

func newApplianceBackupDownloadCommand(s *session) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "download BACKUP",
		Short: "Fetch an archive, encrypted as it is",
		Example: `  hks appliance backup download 12
  hks appliance backup download 12 --to /mnt/usb/hks.archive`,
		Args:              takes("BACKUP"),
		ValidArgsFunction: s.completeApplianceBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := applianceBackupNumber(args)
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				b, err := c.ApplianceBackup(ctx, id)
				if err != nil {
					return err
				}
				target := to
				if target == "" {
					target = filepath.Base(b.File)
				}
				if err := fetchArchive(ctx, c, b, target); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]any{"file": target, "bytes": b.Bytes, "sha256": b.SHA256})
				}
				s.screen.print("%s, %s", target, bytesText(b.Bytes))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the file to write (default: the archive's name, here)")
	return cmd
}

// fetchArchive writes the file whole or not at all.
func fetchArchive(ctx context.Context, c *client.Client, b agent.ApplianceBackup, target string) error {
	temp, err := os.CreateTemp(filepath.Dir(target), ".hks-*")
	if err != nil {
		return agent.Errorf(agent.CodeInvalid, "name a file in a folder that you may write to: --to FILE", "the archive can't be written: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // moved away when all went well
	err = c.DownloadApplianceBackup(ctx, b, temp)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), target); err != nil {
		return agent.Errorf(agent.CodeInvalid, "name another file: --to FILE", "the archive can't be written: %w", err)
	}
	return nil
}

func newApplianceBackupDeleteCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "delete BACKUP",
		Short:             "Remove an archive, and its copy elsewhere",
		Example:           "  hks appliance backup delete 12 --yes",
		Args:              takes("BACKUP"),
		ValidArgsFunction: s.completeApplianceBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := applianceBackupNumber(args)
			if err != nil {
				return err
			}
			word := strconv.FormatInt(id, 10)
			if err := s.confirmName(yes, word, "this removes backup "+word+" of the appliance for good", "hks appliance backup delete "+word); err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.DeleteApplianceBackup(ctx, id); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]any{"deleted": id})
				}
				s.screen.print("backup %d of the appliance is deleted", id)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newApplianceScheduleCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "schedule",
		Short:   "Tell when the appliance is saved and tried by itself",
		Example: "  hks appliance schedule",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				state, err := c.ApplianceBackups(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(state.Schedule)
				}
				s.screen.print("%s", scheduleWords(s.now(), state.Schedule))
				if state.Schedule.DrillMins > 0 {
					s.screen.print("the newest archive is tried every %s", span(time.Duration(state.Schedule.DrillMins)*time.Minute))
				}
				if state.Target != "" {
					s.screen.print("copies go to %s", clean(state.Target))
				} else {
					s.screen.print("there are no copies elsewhere: hks backup target")
				}
				return nil
			})
		},
	}
}

func newApplianceUpdateCommand(s *session) *cobra.Command {
	var look bool
	cmd := &cobra.Command{
		Use:     "update",
		Short:   "Tell whether there is a newer version",
		Long:    "Tell whether there is a newer version. Nobody is asked unless update.url and update.key\nare in config.yaml.",
		Example: "  hks appliance update --check",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				u, err := c.Update(ctx, look)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(u)
				}
				switch {
				case !u.Enabled:
					s.screen.print("hks %s; nobody is asked for newer ones: update.url in config.yaml says whom", u.Current)
				case u.Available:
					s.screen.print("hks %s runs, %s is there%s", u.Current, clean(u.Latest), strings.TrimRight("; "+clean(u.Notes), "; "))
				case u.Latest != "":
					s.screen.print("hks %s runs, the newest is %s", u.Current, clean(u.Latest))
				default:
					s.screen.print("hks %s runs; the newest is not known", u.Current)
				}
				if u.Failure != "" {
					s.screen.note("the last look failed: %s", clean(u.Failure))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&look, "check", false, "look now")
	return cmd
}

func newRecoveryKeyCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "recovery-key",
		Short: "Show the key that opens the archives of the appliance",
		Long: `Show the key that opens the archives of the appliance. Whoever has it and an archive
has everything that is in the appliance. It stays the same; each look is recorded.`,
		Example: `  hks recovery-key
  hks recovery-key >hks.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				key, err := c.RecoveryKey(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(key)
				}
				s.screen.note("keep it elsewhere than the archives; without it none of them opens:")
				s.screen.print("%s", key.Key)
				return nil
			})
		},
	}
}

func applianceBackupNumber(args []string) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("hks appliance backup list shows them", "%q is not the number of a backup", args[0])
	}
	return id, nil
}

func (s *session) completeApplianceBackup(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	state, err := c.ApplianceBackups(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var numbers []string
	for _, b := range state.Backups {
		numbers = append(numbers, strconv.FormatInt(b.ID, 10)+"\t"+ago(s.now(), b.CreatedAt)+", "+bytesText(b.Bytes))
	}
	return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
