package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newNotifyCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Say where reports of incidents go: Slack, e-mail, a webhook",
		Long: `Say where reports of incidents go: Slack, e-mail, a webhook. A report waits in a queue on
the appliance until its channel took it; what could not be sent is shown with the channel's
own words.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newNotifyListCommand(s), newNotifyAddCommand(s), newNotifyRemoveCommand(s), newNotifyTestCommand(s), newNotifyQueueCommand(s), newNotifyRetryCommand(s))
	return cmd
}

func newNotifyListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List channels, and how they are", Example: "  hks notify list", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				channels, err := c.Channels(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(channels))
				}
				if len(channels) == 0 {
					s.screen.note("reports go nowhere yet; try: hks notify add NAME --slack-webhook")
					return nil
				}
				t := newTable("CHANNEL", "KIND", "TO", "STATE", "WAITING", "LAST SENT", "")
				for _, channel := range channels {
					state := "ready"
					if channel.Failure != "" {
						state = "failed"
					}
					t.row(channel.Name, channel.Kind, channelTarget(channel), s.screen.style.status(state), strconv.Itoa(channel.Waiting), ago(s.now(), channel.LastSent), channel.Failure)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

// channelTarget is where a channel leads, as far as that is no secret.
func channelTarget(c agent.Channel) string {
	switch c.Kind {
	case agent.ChannelSlackBot:
		return c.Target
	case agent.ChannelEmail:
		return c.To + " by " + c.Server
	}
	return "a secret address"
}

// completeChannel offers the names of channels; nothing when anything fails.
func (s *session) completeChannel(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	channels, err := c.Channels(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, channel := range channels {
		names = append(names, channel.Name+"\t"+channel.Kind)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// channel finds a channel by its name.
func (s *session) channel(ctx context.Context, c *client.Client, name string) (agent.Channel, error) {
	channels, err := c.Channels(ctx)
	if err != nil {
		return agent.Channel{}, err
	}
	n := slices.IndexFunc(channels, func(one agent.Channel) bool { return one.Name == name })
	if n < 0 {
		return agent.Channel{}, agent.Errorf(agent.CodeNotFound, "list them with: hks notify list", "there is no channel %q", name)
	}
	return channels[n], nil
}

func newNotifyTestCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "test CHANNEL", Short: "Send a report to a channel, and say what it answers", Example: "  hks notify test team",
		Args: takes("CHANNEL"), ValidArgsFunction: s.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.TestChannel(ctx, args[0]); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]string{"sent": args[0]})
				}
				s.screen.print("%s took the report", args[0])
				return nil
			})
		},
	}
}
