package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// Values of --tty.
const (
	ttyAuto  = "auto"
	ttyTrue  = "true"
	ttyFalse = "false"
)

// remoteExit is the exit code of a command that ran elsewhere, other than 0.
type remoteExit int

func (e remoteExit) Error() string { return "the command ended with exit code " + strconv.Itoa(int(e)) }

type execOptions struct {
	*session
	app         string
	environment string
	query       agent.InstanceQuery
	interactive bool
	tty         string
	command     []string
}

func newExecCommand(s *session) *cobra.Command {
	o := execOptions{session: s}
	cmd := &cobra.Command{
		Use:   "exec APP [flags] -- [COMMAND [ARGUMENT...]]",
		Short: "Run a command in an instance of an application",
		Long: `Run a command in an instance of an application: a ready one of the release that
serves, unless --instance names another. Without a command it is sh.

The command gets a terminal when hks has one, and reads what is piped into hks.
Its exit code becomes that of hks.`,
		Example: `  hks exec web
  hks exec web -- ls -l /data
  echo 'select 1' | hks exec web -- psql
  hks exec web/production --component worker -- env`,
		Args:                  o.arguments,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     s.completeApp(false),
		RunE:                  func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	environmentFlag(cmd, &o.environment)
	instanceFlags(cmd, &o.query)
	cmd.Flags().BoolVarP(&o.interactive, "interactive", "i", false, "pass on what is typed, also without a terminal for the command")
	cmd.Flags().StringVarP(&o.tty, "tty", "t", ttyAuto, "give the command a terminal: true, false or auto")
	cmd.Flags().Lookup("tty").NoOptDefVal = ttyTrue
	return cmd
}

// instanceFlags adds the flags that choose an instance.
func instanceFlags(cmd *cobra.Command, query *agent.InstanceQuery) {
	cmd.Flags().StringVar(&query.Component, "component", "", "the component, when the application has several")
	cmd.Flags().StringVar(&query.Instance, "instance", "", "this very instance; hks app show APP lists them")
}

// arguments takes the application before the -- and the command after it.
func (o *execOptions) arguments(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	fix := "write it as: hks exec APP -- COMMAND\nsee " + cmd.CommandPath() + " --help"
	switch {
	case len(args) == 0, dash == 0:
		return usagef(fix, "APP is missing")
	case dash < 0 && len(args) > 1, dash > 1:
		return usagef(fix, "the command %q must come after --", args[1])
	}
	o.app, o.command = args[0], args[1:]
	if len(o.command) == 0 {
		o.command = []string{"sh"}
	}
	return nil
}

func (o *execOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	run := agent.Exec{Command: o.command}
	switch o.tty {
	case ttyAuto:
		run.TTY = o.screen.inTTY && o.screen.outTTY
	case ttyTrue:
		if !o.screen.inTTY {
			return usagef("leave --tty out", "there is no terminal to give to the command: the standard input is not one")
		}
		run.TTY = true
	case ttyFalse:
	default:
		return usagef("give true, false or auto", "--tty %s is not known", o.tty)
	}
	// What is typed is not taken from a terminal that the command does not have.
	run.Stdin = run.TTY || o.interactive || !o.screen.inTTY
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		code, err := o.connect(ctx, c, ref, run)
		if err == nil && code != 0 {
			err = remoteExit(code)
		}
		return err
	})
}

func (o *execOptions) connect(ctx context.Context, c *client.Client, ref appRef, run agent.Exec) (int, error) {
	streams := agent.ExecStreams{Stdin: o.screen.in, Stdout: o.screen.out, Stderr: o.screen.err}
	if run.TTY {
		terminal := int(o.screen.in.Fd())
		before, err := term.MakeRaw(terminal)
		if err != nil {
			return 0, fmt.Errorf("preparing the terminal: %w", err)
		}
		defer func() { _ = term.Restore(terminal, before) }() // the best that can be done
		run.Size = sizeOf(terminal)
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		streams.Sizes = watchSize(ctx, terminal)
	}
	return c.Exec(ctx, ref.name, ref.env, o.query, run, streams)
}

// sizeOf is the size of a terminal; zero when it has none.
func sizeOf(terminal int) agent.TerminalSize {
	width, height, err := term.GetSize(terminal)
	if err != nil || width <= 0 || height <= 0 || width > 65535 || height > 65535 {
		return agent.TerminalSize{}
	}
	return agent.TerminalSize{Width: uint16(width), Height: uint16(height)}
}

// watchSize yields the terminal's size after each change, until ctx ends.
func watchSize(ctx context.Context, terminal int) <-chan agent.TerminalSize {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	sizes := make(chan agent.TerminalSize)
	go func() { // ends with ctx
		defer signal.Stop(changed)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			size := sizeOf(terminal)
			if size == (agent.TerminalSize{}) {
				continue
			}
			select {
			case sizes <- size:
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}
