package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newBuildCacheCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "cache",
		Short: "Show what is kept to build quicker",
		Long: `Show what is kept to build quicker: how much of the disk it takes, and its budget
(build.cache in config.yaml). The builder itself removes the oldest when it is over that.`,
		Example: "  hks build cache",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				cache, err := c.BuildCache(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(cache)
				}
				f := facts{}
				f.add("Used", bytesText(cache.UsedBytes)+" of a budget of "+bytesText(cache.BudgetBytes))
				f.add("Old", bytesText(cache.OldBytes)+", not used in a week: hks build prune")
				f.add("Freeable", bytesText(cache.FreeableBytes)+", not used by a build at work: hks build prune --all")
				return f.write(s.screen.out, s.screen.style)
			})
		},
	}
}

type buildPruneOptions struct {
	*session
	all, yes bool
}

func newBuildPruneCommand(s *session) *cobra.Command {
	o := buildPruneOptions{session: s}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what is kept to build quicker",
		Long: `Remove what is kept to build quicker and was not used in a week; with --all everything
that no build at work uses. Images, releases and the logs of builds stay; the next builds
take longer. It shows what would go and asks first.`,
		Example: `  hks build prune
  hks build prune --all --yes`,
		Args:              takes(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "also what was used lately")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *buildPruneOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		if !o.yes {
			cache, err := c.BuildCache(ctx)
			if err != nil {
				return err
			}
			frees := cache.OldBytes
			if o.all {
				frees = cache.FreeableBytes
			}
			if frees == 0 {
				return o.show(agent.BuildCachePrune{Cache: cache})
			}
			if err := o.confirm(frees, cache); err != nil {
				return err
			}
		}
		done, err := c.PruneBuildCache(ctx, o.all)
		if err != nil {
			return err
		}
		return o.show(done)
	})
}

func (o *buildPruneOptions) confirm(frees int64, cache agent.BuildCache) error {
	text := bytesText(frees) + " of the " + bytesText(cache.UsedBytes) + " that the build cache takes"
	if !o.screen.inTTY {
		again := "hks build prune --yes"
		if o.all {
			again = "hks build prune --all --yes"
		}
		return usagef("if you mean it: "+again, "removing %s asks for confirmation, and there is no terminal to ask on", text)
	}
	answer, err := o.screen.ask("remove " + text + "? (yes/no) ")
	if err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return agent.Errorf(agent.CodeConflict, "", "nothing was removed")
	}
	return nil
}

func (o *buildPruneOptions) show(done agent.BuildCachePrune) error {
	if o.json {
		return o.screen.printJSON(done)
	}
	o.screen.print("%s freed; %s of a budget of %s stay", bytesText(done.FreedBytes), bytesText(done.Cache.UsedBytes), bytesText(done.Cache.BudgetBytes))
	return nil
}
