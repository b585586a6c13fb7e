package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type kubeconfigOptions struct {
	*session
	file  string
	force bool
}

func newKubeconfigCommand(s *session) *cobra.Command {
	o := kubeconfigOptions{session: s}
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print a kubeconfig that is good for the workspace",
		Long:  "Print a kubeconfig that is good for the workspace's own namespace and nothing else.",
		Example: `  hks kubeconfig -o dev.kubeconfig
  kubectl --kubeconfig dev.kubeconfig get pods`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVarP(&o.file, "output", "o", "", "write it to this file, readable by you only")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the file if it exists")
	return cmd
}

func (o *kubeconfigOptions) run(ctx context.Context) error {
	if o.file != "" && !o.force {
		if _, err := os.Stat(o.file); err == nil {
			return usagef("choose another name, or replace it with --force", "the file %s exists", o.file)
		}
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		data, err := c.Kubeconfig(ctx)
		if err != nil {
			return err
		}
		if o.file == "" {
			_, err = o.screen.out.Write(data)
			return err
		}
		if err := writePrivate(o.file, data); err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(map[string]string{"file": o.file})
		}
		o.screen.note("written; use it with: export KUBECONFIG=%s", o.file)
		return nil
	})
}
