package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
)

// maxSecretBytes is what one value may hold.
const maxSecretBytes = 256 << 10

func newSecretSetCommand(s *session) *cobra.Command {
	o := configOptions{session: s}
	var file string
	cmd := &cobra.Command{
		Use:   "set APP KEY",
		Short: "Set a secret from a file, from standard input, or by asking for it",
		Example: `  hks secret set web API_KEY                       # asks for it, without showing it
  hks secret set web TLS_KEY --from-file key.pem
  pass show db | hks secret set web DATABASE_URL --from-file -`,
		Args:              takes("APP", "KEY"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			if strings.Contains(args[1], "=") {
				return usagef("give the name alone, and the value by --from-file or when asked", "a secret's value does not belong on a command line")
			}
			if err := agent.ValidateEnvName(args[1]); err != nil {
				return asUsage(err)
			}
			value, err := s.readSecret(args[1], file)
			if err != nil {
				return err
			}
			return o.setEnv(cmd.Context(), envOptions{}, map[string]string{args[1]: value}, "sets the secret "+args[1])
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&file, "from-file", "", "read the value from a file; - is standard input")
	return cmd
}

// readSecret takes a value from where it was said to be. One end of line is
// taken off: editors and commands add it.
func (s *session) readSecret(name, file string) (string, error) {
	if file == "" && s.screen.inTTY {
		return s.screen.askSecret(name + ": ")
	}
	in := io.Reader(s.screen.in)
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usagef("check the name of the file", "the value can't be read: %w", err)
		}
		defer func() { _ = f.Close() }() // only read from
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSecretBytes+1))
	switch {
	case err != nil:
		return "", usagef("check where it comes from", "the value can't be read: %w", fmt.Errorf("%w", err))
	case len(data) > maxSecretBytes:
		return "", usagef(fmt.Sprintf("keep to %d KiB", maxSecretBytes>>10), "the value is too long")
	case len(data) == 0:
		return "", usagef("give it by --from-file FILE, or on standard input", "the value is empty")
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return value, nil
}
