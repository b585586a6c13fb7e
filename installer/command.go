package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
)

// Config is what the process was started with.
type Config struct {
	Args    []string
	In      io.Reader
	Out     io.Writer // results
	Err     io.Writer // progress and errors
	Environ []string
	Version string
	// BundleKey is the public half of the key that bundles are signed with, in
	// base64; empty in a build that belongs to no bundle.
	BundleKey string
}

// The exit codes.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitPreflight = 3 // nothing was changed
)

// versionGrammar is what may be a folder's name.
var versionGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, cfg Config) int {
	root := newCommand(cfg)
	root.SetArgs(cfg.Args)
	root.SetIn(cfg.In)
	root.SetOut(cfg.Out)
	root.SetErr(cfg.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	report(cfg.Err, err)
	switch {
	case errors.As(err, new(*preflightError)):
		return exitPreflight
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailed
}

// report prints what happened, why, and the next command.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "error: %v\n", err)
	if known, ok := errors.AsType[*agent.Error](err); ok && known.Fix != "" {
		fmt.Fprintf(w, "fix: %s\n", known.Fix)
	}
}

// usageError is a command line that is not understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// machine is what all verbs work on.
type machine struct {
	cfg      Config
	settings config.Config
	paths    config.Paths
	out, err io.Writer
	joins    bool // it becomes a node of another appliance

	log     *stamped          // the log file; nil while none is kept
	reached func(step string) // told each step of a change of version; nil but in tests
}

func newMachine(cfg Config, root string) (*machine, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("finding the root: %w", err)
	}
	// The variable for a k3s binary is a wish for up, which places it; it is
	// no setting of the installed appliance.
	settings, err := config.Load(root, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	return &machine{cfg: cfg, settings: settings, paths: settings.Paths(), out: cfg.Out, err: cfg.Err}, nil
}

// say prints a line of progress.
func (m *machine) say(format string, args ...any) { fmt.Fprintf(m.err, format+"\n", args...) }

func (m *machine) getenv(name string) string { return getenv(m.cfg.Environ, name) }

func getenv(environ []string, name string) string {
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

func newCommand(cfg Config) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "hks-installer",
		Short:         "Bring the hks appliance up on this machine, take it down, remove it",
		Version:       cfg.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root := cmd.PersistentFlags().String("root", "/", "folder below which all files of hks are")
	cmd.AddCommand(
		upCommand(cfg, root), downCommand(cfg, root), purgeCommand(cfg, root),
		preflightCommand(cfg, root), fetchCommand(cfg), verifyCommand(cfg), joinCommand(cfg, root), restoreCommand(cfg, root), readdressCommand(cfg, root),
		upgradeCommand(cfg, root), rollbackCommand(cfg, root), uninstallCommand(cfg, root),
		doctorCommand(cfg, root), supportBundleCommand(cfg, root), resetPasswordCommand(cfg, root),
	)
	return cmd
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, but got %q", cmd.Name(), args[0])}
	}
	return nil
}

func upCommand(cfg Config, root *string) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Install what is missing, start everything, print the link to log in",
		Long: "Checks the machine, places the programs, starts the agent and waits until all parts are healthy.\n" +
			"Run again it changes and restarts only what is not as it should be.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			if o.k3s == "" {
				o.k3s = m.getenv("HKS_K3S_BINARY")
			}
			return m.up(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "folder with the programs to install (default: the folder of this program)")
	f.StringVar(&o.k3s, "k3s", "", "k3s binary to install (default: $HKS_K3S_BINARY, else the one in the --from folder)")
	f.StringArrayVar(&o.extra, "extra", nil, "KEY=VALUE of k3s's settings, for the first start; may be repeated")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait until all parts are healthy")
	return cmd
}

func downCommand(cfg Config, root *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop everything and take it off the machine; data and settings stay",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachineToClean(cfg, *root)
			if err != nil {
				return err
			}
			return m.down(cmd.Context())
		},
	}
}

func purgeCommand(cfg Config, root *string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Like down, and remove all data and settings too",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachineToClean(cfg, *root)
			if err != nil {
				return err
			}
			return m.purge(cmd.Context(), yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

func preflightCommand(cfg Config, root *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Check whether the appliance can run here; changes nothing",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			findings := m.preflight(cmd.Context())
			if asJSON {
				enc := json.NewEncoder(m.out)
				enc.SetIndent("", "  ")
				if err := enc.Encode(findings); err != nil {
					return fmt.Errorf("printing: %w", err)
				}
			} else {
				printFindings(m.out, findings)
			}
			return blocking(findings)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func verifyCommand(cfg Config) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Check an unpacked bundle against its checksums and signature; changes nothing",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("verify takes the folder of an unpacked bundle")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := VerifyBundle(args[0], cfg.BundleKey); err != nil {
				return err
			}
			fmt.Fprintln(cfg.Out, "the bundle is as it was signed")
			return nil
		},
	}
}

func fetchCommand(cfg Config) *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Download the pinned k3s release and verify it",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.mirror = getenv(cfg.Environ, "HKS_MIRROR")
			f, err := newFetcher(o, cfg.Err)
			if err != nil {
				return err
			}
			return f.fetch(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "dist/k3s", "folder for the files")
	f.StringVar(&o.arch, "arch", "", "amd64 or arm64 (default: this machine's)")
	f.BoolVar(&o.images, "images", true, "fetch the air-gap images too")
	f.StringVar(&o.record, "record", "", "write the verified checksums to this lock file")
	f.Lookup("record").NoOptDefVal = "installer/k3s.lock"
	return cmd
}

// newMachineToClean is newMachine for a removal, which must not fail for a
// mistake in the settings.
func newMachineToClean(cfg Config, root string) (*machine, error) {
	m, err := newMachine(cfg, root)
	if agent.CodeOf(err) != agent.CodeInvalid {
		return m, err
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, fmt.Errorf("finding the root: %w", err)
	}
	settings := config.Default(root)
	settings.K3s.Binary = settings.Paths().Bin("k3s")
	return &machine{cfg: cfg, settings: settings, paths: settings.Paths(), out: cfg.Out, err: cfg.Err}, nil
}

// confirm asks for a word to be typed.
func (m *machine) confirm(question, word string) error {
	fmt.Fprintf(m.err, "%s\nType %q to go on: ", question, word)
	var typed string
	if _, err := fmt.Fscanln(m.cfg.In, &typed); err != nil || typed != word {
		return &agent.Error{
			Code:    agent.CodeInvalid,
			Message: "nothing was removed, as it was not confirmed",
			Fix:     "type the word asked for, or run it with --yes",
		}
	}
	return nil
}

// exists tells whether something is at path, a dead link too.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
