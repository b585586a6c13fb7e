package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newBackupCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Save, try and restore what is in a service",
		Long: `Save, try and restore what is in a service. On the plan pro a backup is made daily and
seven are kept; by hand they are made on every plan. verify restores one into a
scratch instance and compares every table with what was saved.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newBackupCreateCommand(s), newBackupListCommand(s), newBackupVerifyCommand(s), newBackupRestoreCommand(s), newBackupDeleteCommand(s), newBackupTargetCommand(s))
	return cmd
}

func newBackupCreateCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	cmd := &cobra.Command{
		Use:               "create SERVICE",
		Short:             "Save what is in a service",
		Example:           "  hks backup create db",
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.BackUp(ctx, args[0])
			}, args[0]+" is saved; try it: hks backup verify "+args[0])
		},
	}
	o.flags(cmd)
	return cmd
}

func newBackupListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "list SERVICE",
		Short:             "List the backups of a service, the newest first",
		Example:           "  hks backup list db",
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				backups, err := c.Backups(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showBackups(args[0], backups)
			})
		},
	}
}

func (s *session) showBackups(service string, backups []agent.Backup) error {
	if s.json {
		return s.screen.printJSON(listOf(backups))
	}
	if len(backups) == 0 {
		s.screen.note("%s has no backup; make one: hks backup create %s", service, service)
		return nil
	}
	t := newTable("BACKUP", "WHEN", "SIZE", "TABLES", "ROWS", "MADE", "VERIFIED", "COPY")
	for _, b := range backups {
		var rows int64
		for _, table := range b.Tables {
			rows += table.Rows
		}
		verified := "never"
		if b.Verified != nil {
			verified = "bad, "
			if b.Verified.Good {
				verified = "good, "
			}
			verified += ago(s.now(), b.Verified.At)
		}
		t.row(strconv.FormatInt(b.ID, 10), ago(s.now(), b.CreatedAt), bytesText(b.Bytes), strconv.Itoa(len(b.Tables)), strconv.FormatInt(rows, 10), b.Trigger, verified, b.Remote)
	}
	return t.write(s.screen.out, s.screen.style)
}

func newBackupVerifyCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	cmd := &cobra.Command{
		Use:   "verify SERVICE [BACKUP]",
		Short: "Restore a backup into a scratch instance and compare",
		Example: `  hks backup verify db
  hks backup verify db 12`,
		Args:              takes("SERVICE", "[BACKUP]"),
		ValidArgsFunction: s.completeBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := backupNumber(args)
			if err != nil {
				return err
			}
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.VerifyBackup(ctx, args[0], id)
			}, "the backup is good")
		},
	}
	o.flags(cmd)
	return cmd
}

func newBackupRestoreCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore SERVICE BACKUP",
		Short: "Put a backup in the place of a service's data",
		Long: `Put a backup in the place of a service's data. It is restored beside the data of now,
compared with what was saved, and takes its place in one step; what was written since
the backup is then gone from the service. The data of before stays in the instance
until the next restore.`,
		Example:           "  hks backup restore db 12",
		Args:              takes("SERVICE", "BACKUP"),
		ValidArgsFunction: s.completeBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := backupNumber(args)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("this puts backup %d in the place of what is in %s now", id, args[0])
			if err := s.confirmName(yes, args[0], what, fmt.Sprintf("hks backup restore %s %d", args[0], id)); err != nil {
				return err
			}
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.RestoreBackup(ctx, args[0], id)
			}, fmt.Sprintf("%s is as it was in backup %d", args[0], id))
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newBackupDeleteCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "delete SERVICE BACKUP",
		Short:             "Remove a backup, and its copy elsewhere",
		Example:           "  hks backup delete db 12 --yes",
		Args:              takes("SERVICE", "BACKUP"),
		ValidArgsFunction: s.completeBackup,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := backupNumber(args)
			if err != nil {
				return err
			}
			if err := s.confirmName(yes, args[0], fmt.Sprintf("this removes backup %d of %s for good", id, args[0]), fmt.Sprintf("hks backup delete %s %d", args[0], id)); err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.DeleteBackup(ctx, args[0], id); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]any{"deleted": id})
				}
				s.screen.print("backup %d is deleted", id)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// backupNumber reads the second argument; 0 when there is none.
func backupNumber(args []string) (int64, error) {
	if len(args) < 2 {
		return 0, nil
	}
	id, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("hks backup list "+args[0]+" shows them", "%q is not the number of a backup", args[1])
	}
	return id, nil
}

func (s *session) completeBackup(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return s.completeService(cmd, args, text)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	backups, err := c.Backups(ctx, args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var numbers []string
	for _, b := range backups {
		numbers = append(numbers, strconv.FormatInt(b.ID, 10)+"\t"+ago(s.now(), b.CreatedAt)+", "+bytesText(b.Bytes))
	}
	return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
