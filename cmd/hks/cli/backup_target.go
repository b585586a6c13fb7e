package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newBackupTargetCommand(s *session) *cobra.Command {
	var target agent.BackupTarget
	var secretFile string
	var none bool
	cmd := &cobra.Command{
		Use:   "target",
		Short: "Show or set the S3 store that gets a copy of each backup",
		Long: `Show or set the S3-compatible store that gets a copy of each backup. A file is written
there, read again and removed before it is taken.`,
		Example: `  hks backup target
  hks backup target --endpoint https://s3.example.com --bucket backups --access-key KEY --secret-from-file -
  hks backup target --none`,
		Args:              takes(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				set := target.Endpoint != ""
				if none {
					target = agent.BackupTarget{}
				} else if set {
					var err error
					if target.SecretKey, err = s.readSecret("secret key", secretFile); err != nil {
						return err
					}
				}
				change, got := set || none, agent.BackupTarget{}
				var err error
				if change {
					got, err = c.SetBackupTarget(ctx, target)
				} else {
					got, err = c.BackupTarget(ctx)
				}
				if err != nil {
					return err
				}
				return s.showTarget(got)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&target.Endpoint, "endpoint", "", "https://HOST of the store")
	flags.StringVar(&target.Bucket, "bucket", "", "the bucket, which must be there")
	flags.StringVar(&target.Region, "region", "", "the region, where the store has several")
	flags.StringVar(&target.Prefix, "prefix", "", "put before each key")
	flags.StringVar(&target.AccessKey, "access-key", "", "the access key's name")
	flags.StringVar(&secretFile, "secret-from-file", "", "read the secret key from a file; - is standard input")
	flags.BoolVar(&none, "none", false, "copy backups nowhere")
	return cmd
}

func (s *session) showTarget(target agent.BackupTarget) error {
	if s.json {
		return s.screen.printJSON(target)
	}
	if target.Endpoint == "" {
		s.screen.print("backups stay on this machine only")
		return nil
	}
	s.screen.print("backups are copied to %s, bucket %s, with the access key %s", clean(target.Endpoint), clean(target.Bucket), clean(target.AccessKey))
	return nil
}
