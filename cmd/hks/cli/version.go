package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type versionOptions struct {
	*session
	clientOnly bool
}

func newVersionCommand(s *session) *cobra.Command {
	o := versionOptions{session: s}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of hks and of the appliance, and its fingerprint",
		Example: `  hks version
  hks version --client`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.clientOnly, "client", false, "only this command's own version")
	return cmd
}

func (o *versionOptions) run(ctx context.Context) error {
	if o.clientOnly {
		return o.show("", nil)
	}
	err := o.call(ctx, func(ctx context.Context, c *client.Client) error {
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		return o.show(c.URL(), &info)
	})
	if err != nil {
		_ = o.show("", nil) // the error says the rest
	}
	return err
}

func (o *versionOptions) show(url string, info *agent.Info) error {
	if o.json {
		return o.screen.printJSON(struct {
			Client    string      `json:"client"`
			URL       string      `json:"url,omitempty"`
			Appliance *agent.Info `json:"appliance,omitempty"`
		}{o.version, url, info})
	}
	f := facts{}
	f.add("hks", o.version)
	if info != nil {
		f.add("appliance", info.Version)
		f.add("address", url)
		f.add("fingerprint", info.Fingerprint)
	}
	return f.write(o.screen.out, o.screen.style)
}
