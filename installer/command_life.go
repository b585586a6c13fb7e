package installer

import (
	"time"

	"github.com/spf13/cobra"
)

// gateTime is how long a version may take to get healthy.
const gateTime = 5 * time.Minute

// logged runs a verb with what it says kept in the log file.
func (m *machine) logged(verb string, run func() error) error {
	done, err := m.keepLog(verb)
	if err != nil {
		return err
	}
	defer done()
	err = run()
	if err != nil {
		m.logOnly("error: %v", err)
	}
	return err
}

func upgradeCommand(cfg Config, root *string) *cobra.Command {
	var o upgradeOptions
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Bring the appliance to another version; apps serve all the time",
		Long: "Verifies the bundle, lays its programs beside those that run, stops the agent, takes a snapshot, switches, and waits\n" +
			"until everything is healthy and what answered before answers again. When that fails it goes back by itself.\n" +
			"Cut off at any point, the same command goes on from there.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			if o.dryRun {
				return m.upgrade(cmd.Context(), o)
			}
			return m.logged("upgrade", func() error { return m.upgrade(cmd.Context(), o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "folder of the unpacked bundle")
	f.DurationVar(&o.timeout, "timeout", gateTime, "how long the other version may take to get healthy")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything and say what would be done; changes nothing")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	return cmd
}

func rollbackCommand(cfg Config, root *string) *cobra.Command {
	var o rollbackOptions
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the version before the last upgrade, with what it knew",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			if o.dryRun {
				return m.rollback(cmd.Context(), o)
			}
			return m.logged("rollback", func() error { return m.rollback(cmd.Context(), o) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.keepData, "keep-data", false, "exchange the programs only; refused where the version before can't read today's data")
	f.BoolVar(&o.yes, "yes", false, "don't ask")
	f.DurationVar(&o.timeout, "timeout", gateTime, "how long the version before may take to get healthy")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be lost; changes nothing")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	return cmd
}

func uninstallCommand(cfg Config, root *string) *cobra.Command {
	var o uninstallOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the appliance off the machine, with its data unless that is to be kept",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachineToClean(cfg, *root)
			if err != nil {
				return err
			}
			return m.uninstall(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.keepData, "keep-data", false, "data and settings stay, for a later hks-installer up")
	f.BoolVar(&o.yes, "yes", false, "don't ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be removed; changes nothing")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

func doctorCommand(cfg Config, root *string) *cobra.Command {
	var fix, asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is broken and say the mend; exit code 1 when something is",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDoctor(cfg, *root)
			if err != nil {
				return err
			}
			return d.examine(cmd.Context(), fix, asJSON)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&fix, "fix", false, "do the mends that are safe: start the agent, mount volumes, protect secrets")
	f.BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func supportBundleCommand(cfg Config, root *string) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Pack logs, versions, settings and findings into one archive, without secrets",
		Long:  "Works with everything down. Secrets of the install are read and looked for in all that is packed, in any form.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDoctor(cfg, *root)
			if err != nil {
				return err
			}
			return d.supportBundle(cmd.Context(), out, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "file to write (default: hks-support-TIME.tar.gz here)")
	f.BoolVar(&asJSON, "json", false, "print what it holds as JSON")
	return cmd
}

func resetPasswordCommand(cfg Config, root *string) *cobra.Command {
	var revokeTokens, asJSON bool
	cmd := &cobra.Command{
		Use:   "reset-password",
		Short: "Print a one-time link with which the owner sets another password",
		Long:  "For an owner who has lost the password. All sessions end when the new one is set; who made a link and used it is in hks activity.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachineToClean(cfg, *root)
			if err != nil {
				return err
			}
			return m.resetPassword(cmd.Context(), revokeTokens, asJSON)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&revokeTokens, "revoke-tokens", false, "revoke all API tokens too, at once")
	f.BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
