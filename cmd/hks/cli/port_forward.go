package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type portForwardOptions struct {
	*session
	app         string
	environment string
	query       agent.InstanceQuery
	ports       []portPair
}

// portPair is a port of this machine and one of the instance.
type portPair struct{ local, remote int } // local 0: any that is free

func newPortForwardCommand(s *session) *cobra.Command {
	o := portForwardOptions{session: s}
	cmd := &cobra.Command{
		Use:   "port-forward APP [[LOCAL:]REMOTE...]",
		Short: "Reach ports of an application from this machine",
		Long: `Reach ports of an application from this machine, at 127.0.0.1, until Ctrl-C.

Each connection goes to an instance that is ready by then, so that restarts and
new releases don't end it. Without a port it is the one the application listens on.`,
		Example: `  hks port-forward web
  hks port-forward web 9000:8080
  hks port-forward db/production :5432     # any local port that is free`,
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return takes("APP")(cmd, args)
			}
			o.app = args[0]
			for _, arg := range args[1:] {
				pair, err := parsePorts(arg)
				if err != nil {
					return err
				}
				o.ports = append(o.ports, pair)
			}
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	instanceFlags(cmd, &o.query)
	return cmd
}

// parsePorts reads REMOTE, LOCAL:REMOTE or :REMOTE.
func parsePorts(arg string) (portPair, error) {
	localText, remoteText, both := strings.Cut(arg, ":")
	if !both {
		remoteText = localText
	}
	remote, err := strconv.ParseUint(remoteText, 10, 16)
	local := uint64(0)
	if err == nil && localText != "" {
		local, err = strconv.ParseUint(localText, 10, 16)
	}
	if err != nil || remote == 0 {
		return portPair{}, usagef("write it as REMOTE, LOCAL:REMOTE or :REMOTE, such as 9000:8080", "%q is not a pair of ports", arg)
	}
	return portPair{local: int(local), remote: int(remote)}, nil
}

// forwarding is one listener with where its connections go.
type forwarding struct {
	listener net.Listener
	query    agent.InstanceQuery
}

func (o *portForwardOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		open, err := o.listen(ctx, c, ref)
		for _, f := range open {
			defer func() { _ = f.listener.Close() }() // closed by serve already
		}
		if err != nil {
			return err
		}
		var serving sync.WaitGroup
		for _, f := range open {
			serving.Go(func() { o.serve(ctx, c, ref, f) })
		}
		serving.Wait()
		return nil // it ends with Ctrl-C
	})
}

// listen asks for each port where it would go, so that what is wrong shows
// at once, and listens.
func (o *portForwardOptions) listen(ctx context.Context, c *client.Client, ref appRef) ([]forwarding, error) {
	pairs := o.ports
	if len(pairs) == 0 {
		pairs = []portPair{{}}
	}
	var open []forwarding
	for _, pair := range pairs {
		query := o.query
		query.Port = pair.remote
		target, err := c.FindPort(ctx, ref.name, ref.env, query)
		if err != nil {
			return open, err
		}
		if target.Port == 0 {
			return open, usagef("name one: hks port-forward "+ref.arg()+" PORT", "the component %s of %s listens on no port", target.Component, ref)
		}
		query.Port = target.Port
		if len(o.ports) == 0 {
			pair.local = target.Port
		}
		listener, err := listenLocal(ctx, ref, pair.local, target.Port)
		if err != nil {
			return open, err
		}
		open = append(open, forwarding{listener: listener, query: query})
		if err := o.show(ref, listener.Addr().String(), target); err != nil {
			return open, err
		}
	}
	return open, nil
}

func listenLocal(ctx context.Context, ref appRef, local, remote int) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(local)))
	if err == nil {
		return listener, nil
	}
	reason := root(err).Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		reason = "another program uses it"
	case errors.Is(err, syscall.EACCES):
		reason = "only root may use it"
	}
	return nil, agent.Errorf(agent.CodeConflict, fmt.Sprintf("let it choose one that is free: hks port-forward %s :%d", ref.arg(), remote),
		"port %d of this machine can't be listened on: %s", local, reason)
}

func root(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

func (o *portForwardOptions) show(ref appRef, address string, target agent.InstanceTarget) error {
	if o.json {
		return o.screen.printJSONLine(map[string]any{"address": address, "instance": target.Instance, "port": target.Port})
	}
	o.screen.print("%s -> port %d of %s (%s)", address, target.Port, ref, target.Instance)
	return nil
}

// serve takes connections until ctx ends, and waits for theirs.
func (o *portForwardOptions) serve(ctx context.Context, c *client.Client, ref appRef, f forwarding) {
	stop := context.AfterFunc(ctx, func() { _ = f.listener.Close() }) // wakes Accept
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				o.screen.note("error: taking connections at %s: %v", f.listener.Addr(), err)
			}
			return
		}
		connections.Go(func() {
			if err := c.Forward(ctx, ref.name, ref.env, f.query, conn); err != nil && ctx.Err() == nil {
				o.report(ctx, err)
			}
		})
	}
}
