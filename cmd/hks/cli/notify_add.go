package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type notifyAddOptions struct {
	*session
	channel    agent.Channel
	kinds      map[string]*bool // by kind
	secretFile string
	replace    bool
}

func newNotifyAddCommand(s *session) *cobra.Command {
	o := notifyAddOptions{session: s, kinds: map[string]*bool{}}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a channel that reports go to",
		Long: `Add a channel that reports go to. Its secret (the address of a webhook, the token of a
Slack app, the password of a mail server) is asked for without showing it, or read from
standard input or a file; it never stands on a command line.`,
		Example: `  hks notify add team --slack-webhook              # asks for the address
  hks notify add team --slack-bot --channel C0123456789 --secret-from-file token.txt
  hks notify add pager --webhook < address.txt
  hks notify add mail --email --smtp mail.example.com:587 --from hks@example.com --to me@example.com --username hks`,
		Args:              takes("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.channel.Name = args[0]
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	for kind, usage := range map[string]string{
		agent.ChannelSlackWebhook: "an incoming webhook of Slack: text only",
		agent.ChannelSlackBot:     "a Slack app with its token: charts, edits and threads",
		agent.ChannelWebhook:      "JSON to any address",
		agent.ChannelEmail:        "e-mail",
	} {
		o.kinds[kind] = f.Bool(kind, false, usage)
	}
	f.StringVar(&o.channel.Target, "channel", "", "id of the Slack channel, such as C0123456789")
	f.StringVar(&o.channel.API, "api", "", "another address of Slack's API")
	f.StringVar(&o.channel.Server, "smtp", "", "the mail server, as HOST:PORT")
	f.StringVar(&o.channel.From, "from", "", "the sender's address")
	f.StringVar(&o.channel.To, "to", "", "the receiver's address")
	f.StringVar(&o.channel.Username, "username", "", "at the mail server; its password is asked for")
	f.StringVar(&o.channel.Security, "security", "", "of the mail server: starttls (default), tls or none")
	f.StringVar(&o.secretFile, "secret-from-file", "", "read the secret from a file; - is standard input")
	f.BoolVar(&o.replace, "replace", false, "write it in place of the channel of this name")
	return cmd
}

func (o *notifyAddOptions) run(ctx context.Context) error {
	for kind, chosen := range o.kinds {
		if !*chosen {
			continue
		}
		if o.channel.Kind != "" {
			return usagef("give one of --slack-webhook, --slack-bot, --webhook, --email", "--%s and --%s at once", min(kind, o.channel.Kind), max(kind, o.channel.Kind))
		}
		o.channel.Kind = kind
	}
	if err := o.check(); err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		channels, err := c.Channels(ctx)
		if err != nil {
			return err
		}
		if !o.replace && slices.ContainsFunc(channels, func(one agent.Channel) bool { return one.Name == o.channel.Name }) {
			return agent.Errorf(agent.CodeConflict, "take another name, or add --replace", "there is a channel %q already", o.channel.Name)
		}
		if err := o.readSecrets(); err != nil {
			return err
		}
		channel, err := c.PutChannel(ctx, o.channel)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(channel)
		}
		o.screen.print("reports go to %s; see one arrive: hks notify test %s", clean(channel.Name), clean(channel.Name))
		return nil
	})
}

// check refuses what can't work before a secret is asked for.
func (o *notifyAddOptions) check() error {
	missing := ""
	switch o.channel.Kind {
	case "":
		return usagef("give one of --slack-webhook, --slack-bot, --webhook, --email", "the kind of the channel is missing")
	case agent.ChannelSlackBot:
		if o.channel.Target == "" {
			missing = "--channel C0123456789, the id at the end of the channel's details in Slack"
		}
	case agent.ChannelEmail:
		for _, flag := range [][2]string{{"--smtp HOST:PORT", o.channel.Server}, {"--from ADDRESS", o.channel.From}, {"--to ADDRESS", o.channel.To}} {
			if flag[1] == "" && missing == "" {
				missing = flag[0]
			}
		}
	}
	if missing != "" {
		return usagef("add "+missing, "a channel of the kind %s needs more", o.channel.Kind)
	}
	return nil
}

func (o *notifyAddOptions) readSecrets() error {
	var err error
	switch o.channel.Kind {
	case agent.ChannelSlackWebhook, agent.ChannelWebhook:
		o.channel.URL, err = o.readSecret("address of the webhook", o.secretFile)
	case agent.ChannelSlackBot:
		o.channel.Token, err = o.readSecret("token of the Slack app", o.secretFile)
	case agent.ChannelEmail:
		if o.channel.Username != "" {
			o.channel.Password, err = o.readSecret(fmt.Sprintf("password of %s at %s", o.channel.Username, o.channel.Server), o.secretFile)
		}
	}
	return err
}
