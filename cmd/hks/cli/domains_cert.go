package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// maxPEMBytes is what a file of certificates or a key may hold.
const maxPEMBytes = 64 << 10

func newDomainsCertCommand(s *session) *cobra.Command {
	var cert, key string
	var remove bool
	cmd := &cobra.Command{
		Use:   "cert HOST",
		Short: "Use a certificate of your own for a domain",
		Long: `Use a certificate of your own for a domain. FILE holds PEM: the certificate first, then
its chain. It is checked that key and certificate are a pair, that it is for the host, and that
it is valid now. You renew it; hks warns two weeks before it ends.`,
		Example: `  hks domains cert www.example.com --cert fullchain.pem --key privkey.pem
  hks domains cert '*.example.com' --cert wildcard.pem --key wildcard.key
  hks domains cert www.example.com --remove`,
		Args:              takes("HOST"),
		ValidArgsFunction: s.completeDomain,
		RunE: func(cmd *cobra.Command, args []string) error {
			if remove == (cert != "" || key != "") || (!remove && (cert == "" || key == "")) {
				return usagef("give --cert FILE and --key FILE, or --remove", "it is not said which certificate to use")
			}
			if remove {
				return s.onDomain(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.Domain, error) {
					return c.RemoveDomainCertificate(ctx, args[0])
				})
			}
			chain, err := readPEM(cert)
			if err != nil {
				return err
			}
			private, err := readPEM(key)
			if err != nil {
				return err
			}
			return s.onDomain(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.Domain, error) {
				return c.SetDomainCertificate(ctx, args[0], chain, private)
			})
		},
	}
	cmd.Flags().StringVar(&cert, "cert", "", "file with the certificate and its chain, PEM")
	cmd.Flags().StringVar(&key, "key", "", "file with its key, PEM")
	cmd.Flags().BoolVar(&remove, "remove", false, "let go of your own certificate")
	return cmd
}

func readPEM(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", usagef("check the name of the file", "%s can't be read: %w", file, err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	if err != nil {
		return "", usagef("check the file", "%s can't be read: %w", file, err)
	}
	if len(data) > maxPEMBytes {
		return "", usagef("give the certificate with its chain and nothing else", "%s is longer than %d KiB", file, maxPEMBytes>>10)
	}
	return string(data), nil
}
