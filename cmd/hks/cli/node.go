package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newNodeCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "List, add, drain and remove machines of the cluster",
		Long: `List, add, drain and remove machines of the cluster.

The appliance's own machine is the shared pool. A dedicated node is a machine
of its own, for what is moved there: nothing else is placed on it.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newNodeListCommand(s), newNodeShowCommand(s), newNodeAddCommand(s), newNodeRemoveCommand(s),
		newNodeChangeCommand(s, "drain", "Move the workloads of a node elsewhere, and let none come", (*client.Client).DrainNode),
		newNodeChangeCommand(s, "resume", "Let workloads come to a drained node again", (*client.Client).ResumeNode))
	return cmd
}

func newNodeChangeCommand(s *session, verb, short string, change func(*client.Client, context.Context, string) (agent.Node, error)) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " NODE",
		Short:             short,
		Example:           "  hks node " + verb + " prod-1",
		Args:              takes("NODE"),
		ValidArgsFunction: s.completeNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				node, err := change(c, ctx, args[0])
				if err != nil {
					return err
				}
				return s.showNode(node)
			})
		},
	}
}

// completeNode offers the names of nodes; nothing when anything fails.
func (s *session) completeNode(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// gone tells whether an error says that a node is not there any more.
func gone(err error) bool {
	known, ok := errors.AsType[*agent.Error](err)
	return ok && known.Code == agent.CodeNotFound
}
