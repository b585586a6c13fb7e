package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// removeTimeout bounds the wait until a node's workloads run elsewhere.
const removeTimeout = 10 * time.Minute

type nodeRemoveOptions struct {
	*session
	name string
	yes  bool
}

func newNodeRemoveCommand(s *session) *cobra.Command {
	o := nodeRemoveOptions{session: s}
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Drain a node and take it out of the cluster",
		Long: `Drain a node and take it out of the cluster. Its workloads go back to the shared
pool first. On the machine itself hks-installer purge removes what was installed.`,
		Example:           "  hks node remove prod-1\n  hks node remove prod-1 --yes",
		Args:              takes("NODE"),
		ValidArgsFunction: s.completeNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *nodeRemoveOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		node, err := c.Node(ctx, o.name)
		if err != nil {
			return err
		}
		if err := o.confirm(node); err != nil {
			return err
		}
		if node, err = c.RemoveNode(ctx, o.name); err != nil {
			return err
		}
		return o.wait(ctx, c, node)
	})
}

func (o *nodeRemoveOptions) confirm(node agent.Node) error {
	if o.yes {
		return nil
	}
	if !o.screen.inTTY {
		return usagef("if you mean it: hks node remove "+o.name+" --yes", "removing %s asks for confirmation, and there is no terminal to ask on", o.name)
	}
	o.screen.note("this moves %d pods off %s and takes it out of the cluster", len(node.Pods), o.name)
	answer, err := o.screen.ask("type " + o.name + " to remove it: ")
	if err != nil {
		return err
	}
	if answer != o.name {
		return agent.Errorf(agent.CodeConflict, "", "nothing was removed: the name does not match")
	}
	return nil
}

// wait waits until the node is gone.
func (o *nodeRemoveOptions) wait(ctx context.Context, c *client.Client, node agent.Node) error {
	limited, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	poll := time.NewTicker(joinPoll)
	defer poll.Stop()
	said := ""
	for {
		if node.Message != said && !o.json {
			said = node.Message
			o.screen.note("%s", clean(said))
		}
		select {
		case <-limited.Done():
			return agent.Errorf(agent.CodeConflict, "see how far it is with: hks node show "+o.name, "%s is not removed yet: %s; it goes on by itself", o.name, node.Message)
		case <-poll.C:
		}
		next, err := c.Node(limited, o.name)
		switch {
		case gone(err):
			if o.json {
				return o.screen.printJSON(map[string]string{"removed": o.name})
			}
			o.screen.print("%s is removed; on the machine itself, as root: hks-installer purge", o.name)
			return nil
		case err == nil:
			node = next
		}
	}
}
