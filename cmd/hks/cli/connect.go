package cli

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type connectOptions struct {
	*session
	service   string
	printOnly bool
}

func newConnectCommand(s *session) *cobra.Command {
	o := connectOptions{session: s}
	cmd := &cobra.Command{
		Use:   "connect SERVICE",
		Short: "Open a client of a service, through the appliance",
		Long: `Open a client of a service (psql for PostgreSQL, mariadb for MariaDB, valkey-cli
for Valkey) through the appliance. Where that program is not there, or with --print, the address is printed
and stays open until Ctrl-C.`,
		Example: `  hks connect db
  hks connect db --print`,
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.service = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.printOnly, "print", false, "print the address and keep it open")
	return cmd
}

func (o *connectOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		if _, err := c.FindService(ctx, o.service); err != nil {
			return err
		}
		held, err := c.Credentials(ctx, o.service)
		if err != nil {
			return err
		}
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return agent.Errorf(agent.CodeConflict, "", "no port of this machine can be listened on: %w", err)
		}
		at, err := localAddress(held.URL, listener.Addr().String())
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var serving sync.WaitGroup
		serving.Go(func() { o.serve(ctx, c, listener) })
		defer serving.Wait()
		defer cancel()
		program := ""
		if len(held.Client) > 0 && !o.printOnly {
			program, _ = exec.LookPath(held.Client[0]) // without one the address is printed
		}
		if program == "" {
			return o.keepOpen(ctx, at, held)
		}
		return o.open(ctx, program, held.Client[1:], at)
	})
}

// localAddress is a service's address as it is reached from this machine.
func localAddress(text, local string) (*url.URL, error) {
	at, err := url.Parse(text)
	if err != nil || at.Host == "" {
		return nil, agent.Errorf(agent.CodeConflict, "see its variables: hks market show SERVICE --credentials", "the service has no address")
	}
	at.Host = local
	return at, nil
}

func (o *connectOptions) keepOpen(ctx context.Context, at *url.URL, held agent.Credentials) error {
	if o.json {
		if err := o.screen.printJSONLine(map[string]string{"url": at.String()}); err != nil {
			return err
		}
	} else {
		if len(held.Client) > 0 && !o.printOnly {
			o.screen.note("%s is not on this machine; use another client with this address, until Ctrl-C:", held.Client[0])
		}
		o.screen.print("%s", at)
	}
	<-ctx.Done()
	return nil // it ends with Ctrl-C
}

// open runs the client. The password goes by its environment: a command line
// is for all to see.
func (o *connectOptions) open(ctx context.Context, program string, args []string, at *url.URL) error {
	password, _ := at.User.Password()
	shown := *at
	shown.User = url.User(at.User.Username())
	words := strings.NewReplacer("{url}", shown.String(), "{host}", at.Hostname(), "{port}", at.Port(), "{user}", at.User.Username(), "{database}", strings.TrimPrefix(at.Path, "/"))
	line := make([]string, len(args))
	for i, arg := range args {
		line[i] = words.Replace(arg)
	}
	cmd := exec.CommandContext(ctx, program, line...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = connectGrace
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.screen.in, o.screen.out, o.screen.err
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "REDISCLI_AUTH="+password, "MYSQL_PWD="+password)
	if err := cmd.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return agent.Errorf(agent.CodeConflict, "", "%s ended with exit code %d", program, exit.ExitCode())
		}
		return agent.Errorf(agent.CodeConflict, "use --print and another client", "%s can't be started: %w", program, err)
	}
	return nil
}

// serve takes connections until ctx ends, and waits for theirs.
func (o *connectOptions) serve(ctx context.Context, c *client.Client, listener net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // wakes Accept
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		connections.Go(func() {
			if err := c.ForwardService(ctx, o.service, conn); err != nil && ctx.Err() == nil {
				o.report(ctx, err)
			}
		})
	}
}
