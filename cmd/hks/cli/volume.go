package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newVolumeCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "volume",
		Short: "Volumes of applications and services",
		Long: `Volumes of applications and services. Each is a filesystem of its own: its size is a wall
for whoever writes to it, and nothing beside it suffers. One whose application or service was
deleted is kept for a while before it goes.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newVolumeListCommand(s), newVolumeShowCommand(s), newVolumeResizeCommand(s), newVolumeDeleteCommand(s), newVolumeRestoreCommand(s))
	return cmd
}

// completeVolume offers the names of volumes; nothing when anything fails.
func (s *session) completeVolume(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	volumes, err := c.Volumes(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, v := range volumes {
		if !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func newVolumeListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List volumes, and until when kept ones stay", Example: "  hks volume list", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				volumes, err := c.Volumes(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(volumes))
				}
				t := newTable("VOLUME", "SIZE", "USED", "FULL IN", "OF", "STATUS", "KEPT UNTIL")
				for _, v := range volumes {
					t.row(v.Name, bytesText(v.SizeBytes), usedText(v), fullInText(v.FullIn), ownerOf(v), s.screen.style.status(string(v.Status)), untilText(v))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func usedText(v agent.Volume) string {
	if v.UsedBytes+v.FreeBytes == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", 100*v.UsedBytes/(v.UsedBytes+v.FreeBytes))
}

// fullInText is a forecast in words, in the unit that it is worth; "" for none.
func fullInText(seconds int64) string {
	switch days, hours := seconds/86400, seconds/3600; {
	case seconds <= 0:
		return ""
	case days >= 2:
		return fmt.Sprintf("%d days", days)
	case hours >= 2:
		return fmt.Sprintf("%d hours", hours)
	}
	if seconds < 120 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", seconds/60)
}

func untilText(v agent.Volume) string {
	if v.KeptUntil.IsZero() {
		return ""
	}
	return v.KeptUntil.Local().Format("2006-01-02 15:04")
}

// ownerOf is whose a volume is, or was.
func ownerOf(v agent.Volume) string {
	switch {
	case v.App != "":
		return "app " + v.App + "/" + string(v.Env)
	case v.Service != "":
		return "service " + v.Service
	}
	return ""
}

func newVolumeShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show VOLUME", Short: "Show a volume and its fill", Example: "  hks volume show web-production-web-data",
		Args: takes("VOLUME"), ValidArgsFunction: s.completeVolume,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				volume, err := c.Volume(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showVolume(volume)
			})
		},
	}
}

func (s *session) showVolume(v agent.Volume) error {
	if s.json {
		return s.screen.printJSON(v)
	}
	style := s.screen.style
	f := facts{}
	f.add("Volume", style.bold(v.Name))
	f.add("Id", v.ID)
	f.add("Of", ownerOf(v))
	f.add("Status", style.status(string(v.Status)))
	if v.Message != "" {
		f.add("Note", v.Message)
	}
	f.add("Size", bytesText(v.SizeBytes))
	if v.Node != "" {
		f.add("Node", clean(v.Node))
	}
	if v.Move != nil {
		f.add("Moves", fmt.Sprintf("from %s to %s, %s: %s of %s are copied", clean(v.Move.From), clean(v.Move.To), clean(string(v.Move.Phase)), bytesText(v.Move.Copied), bytesText(v.Move.Total)))
	}
	if v.AskedSize > 0 {
		f.add("Grows to", bytesText(v.AskedSize))
	}
	if all := v.UsedBytes + v.FreeBytes; all > 0 {
		f.add("Used", bytesText(v.UsedBytes)+"  "+bar(style, float64(v.UsedBytes), float64(all), 20)+"  "+bytesText(v.FreeBytes)+" free")
	}
	if v.FullIn > 0 {
		more := "hks volume resize " + v.Name + " SIZE"
		if v.Service != "" {
			more = "hks market upgrade " + v.Service + " --storage SIZE"
		}
		f.add("Full in", "about "+fullInText(v.FullIn)+", as it fills now; more room: "+more)
	}
	if v.Class != agent.StorageClass {
		f.add("Class", v.Class+", which enforces no size")
	}
	if !v.KeptUntil.IsZero() {
		f.add("Kept until", untilText(v)+"; take it back with: hks volume restore "+v.ID)
	}
	return f.write(s.screen.out, style)
}

func newVolumeResizeCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "resize VOLUME SIZE", Short: "Make a volume larger while it is in use",
		Long: `Make a volume larger while it is in use. It never shrinks. The size in hks.yaml may stay as it is:
a release makes no volume smaller.`,
		Example: "  hks volume resize web-production-web-data 5Gi",
		Args:    takes("VOLUME", "SIZE"), ValidArgsFunction: s.completeVolume,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.changeVolume(cmd, func(ctx context.Context, c *client.Client) (agent.Volume, error) {
				return c.ResizeVolume(ctx, args[0], args[1])
			})
		},
	}
}

func (s *session) changeVolume(cmd *cobra.Command, change func(context.Context, *client.Client) (agent.Volume, error)) error {
	return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
		volume, err := change(ctx, c)
		if err != nil {
			return err
		}
		return s.showVolume(volume)
	})
}

func newVolumeDeleteCommand(s *session) *cobra.Command {
	var now, yes bool
	cmd := &cobra.Command{
		Use: "delete VOLUME", Short: "Let go of a volume that nobody uses",
		Long: `Let go of a volume that nobody uses. It stays for the grace time (volumes.grace, seven days) and
can be restored until then; with --now its data is deleted for good.`,
		Example: "  hks volume delete web-staging-web-data\n  hks volume delete web-staging-web-data --now --yes",
		Args:    takes("VOLUME"), ValidArgsFunction: s.completeVolume,
		RunE: func(cmd *cobra.Command, args []string) error {
			if now {
				if err := s.confirmName(yes, args[0], "this deletes the volume "+args[0]+" with its data for good", "hks volume delete "+args[0]+" --now"); err != nil {
					return err
				}
			}
			return s.changeVolume(cmd, func(ctx context.Context, c *client.Client) (agent.Volume, error) {
				return c.DeleteVolume(ctx, args[0], now)
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "for good, without a grace time")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newVolumeRestoreCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "restore VOLUME", Short: "Take a kept volume back",
		Long: `Take a kept volume back: it goes no more, under its old name. An application that is deployed
again with the same names finds its data by itself.`,
		Example: "  hks volume restore web-staging-web-data",
		Args:    takes("VOLUME"), ValidArgsFunction: s.completeVolume,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.changeVolume(cmd, func(ctx context.Context, c *client.Client) (agent.Volume, error) {
				return c.RestoreVolume(ctx, args[0])
			})
		},
	}
}
