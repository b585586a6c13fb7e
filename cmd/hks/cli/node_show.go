package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newNodeShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "show NODE",
		Short:             "Show a machine of the cluster and what runs on it",
		Example:           "  hks node show prod-1",
		Args:              takes("NODE"),
		ValidArgsFunction: s.completeNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				node, err := c.Node(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showNode(node)
			})
		},
	}
}

func (s *session) showNode(n agent.Node) error {
	if s.json {
		return s.screen.printJSON(n)
	}
	style := s.screen.style
	f := facts{}
	f.add("Node", style.bold(n.Name))
	f.add("Pool", n.Pool)
	f.add("Status", style.status(string(n.Status)))
	f.add("Message", n.Message)
	f.add("Fix", n.Fix)
	f.add("Address", n.Address)
	version := n.Version
	if n.Skewed {
		version += ", which differs from the appliance's; let it join again to bring it there"
	}
	f.add("Version", version)
	f.add("CPU", cores(n.CPU))
	f.add("Memory", memory(n.Memory))
	if !n.LastHeard.IsZero() {
		f.add("Heard", ago(s.now(), n.LastHeard))
	}
	for _, pod := range n.Pods {
		what := pod.Name
		if pod.App != "" {
			what = pod.App + "/" + string(pod.Environment) + "  " + pod.Name
		}
		if !pod.Ready {
			what += "  (not ready)"
		}
		f.add("Runs", what)
	}
	for _, step := range n.Steps {
		f.add("Step", strings.TrimSpace(step.State+"  "+step.Name+"  "+step.Message))
	}
	return f.write(s.screen.out, style)
}
