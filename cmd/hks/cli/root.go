package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const (
	groupApps      = "apps"
	groupMarket    = "market"
	groupAppliance = "appliance"
	groupAccess    = "access"
)

func newRootCommand(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "hks",
		Short: "Deploy and run applications on your own appliance",
		Long: `hks deploys and runs applications on your own appliance.

The appliance is found by --url or HKS_URL (with HKS_TOKEN and HKS_FINGERPRINT),
else by the stored login (hks login), else on this very machine by its socket.`,
		Example: `  hks login https://192.0.2.2:8443
  hks deploy --name web --image web:1 --port 8080
  hks logs -f web
  hks rollback web`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          showHelp,
	}
	root.SetIn(s.screen.in)
	root.SetOut(s.screen.out)
	root.SetErr(s.screen.err)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("see "+cmd.CommandPath()+" --help", "%s", err)
	})
	root.PersistentFlags().StringVar(&s.url, "url", "", "the appliance: https://HOST:8443 or unix:///PATH")
	root.PersistentFlags().BoolVar(&s.json, "json", false, "answer in JSON")
	root.AddGroup(
		&cobra.Group{ID: groupApps, Title: "Applications:"},
		&cobra.Group{ID: groupMarket, Title: "Databases and services:"},
		&cobra.Group{ID: groupAppliance, Title: "Appliance:"},
		&cobra.Group{ID: groupAccess, Title: "Access:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupApps,
		newInitCommand(s), newDeployCommand(s), newDiffCommand(s), newFunctionCommand(s), newBuildCommand(s), newPipelineCommand(s), newGitHubCommand(s), newAppCommand(s), newAppsCommand(s), newLogsCommand(s), newReleasesCommand(s),
		newRollbackCommand(s), newPromoteCommand(s), newAppScaleCommand(s), newEnvCommand(s), newSecretCommand(s), newDomainsCommand(s),
		newOpenCommand(s), newMetricsCommand(s), newAppEventsCommand(s), newImageCommand(s), newCronCommand(s),
		newExecCommand(s), newPortForwardCommand(s), newVolumeCommand(s))
	add(groupMarket, newMarketCommand(s), newBindCommand(s), newUnbindCommand(s), newConnectCommand(s), newBackupCommand(s))
	add(groupAppliance,
		newStatusCommand(s), newAttentionCommand(s), newIncidentsCommand(s), newNotifyCommand(s), newAIOpsCommand(s), newActivityCommand(s), newAuditCommand(s), newApplianceCommand(s), newWorkspaceCommand(s), newNodeCommand(s), newPlanCommand(s), newKubeconfigCommand(s), newVersionCommand(s))
	add(groupAccess,
		newLoginCommand(s), newLogoutCommand(s), newWhoamiCommand(s), newTokenCommand(s), newSetupLinkCommand(s), newRecoveryKeyCommand(s))
	root.AddCommand(newSchemaCommand(s), newCompletionCommand(s))
	root.InitDefaultHelpCmd()
	return root
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noCommand refuses the argument of a command that only holds others: it is a
// command that does not exist.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	fix := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		fix = "did you mean " + cmd.CommandPath() + " " + near[0] + "?"
	}
	return usagef(fix, "there is no command %q", cmd.CommandPath()+" "+args[0])
}

// takes checks the number of arguments against their names; one in brackets
// may be left out, and the last may come more often where it ends in dots.
func takes(names ...string) cobra.PositionalArgs {
	required := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			required++
		}
	}
	many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
	return func(cmd *cobra.Command, args []string) error {
		fix := fmt.Sprintf("write it as: %s\nsee %s --help", strings.TrimSpace(cmd.UseLine()), cmd.CommandPath())
		switch {
		case len(args) < required:
			return usagef(fix, "%s is missing", strings.TrimSuffix(names[len(args)], "..."))
		case len(args) > len(names) && !many:
			return usagef(fix, "%q is one argument too many", args[len(names)])
		}
		return nil
	}
}
