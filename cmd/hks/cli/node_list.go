package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newNodeListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the machines of the cluster",
		Example: "  hks node list\n  hks node list --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				nodes, err := c.Nodes(ctx)
				if err != nil {
					return err
				}
				return s.showNodes(nodes)
			})
		},
	}
}

func (s *session) showNodes(nodes []agent.Node) error {
	if s.json {
		return s.screen.printJSON(listOf(nodes))
	}
	t := newTable("NODE", "POOL", "STATUS", "CPU", "MEMORY", "PODS", "ADDRESS", "HEARD", "WHY")
	for _, n := range nodes {
		heard := ""
		if !n.LastHeard.IsZero() {
			heard = ago(s.now(), n.LastHeard)
		}
		t.row(n.Name, n.Pool, s.screen.style.status(string(n.Status)), cores(n.CPU), memory(n.Memory), strconv.Itoa(len(n.Pods)), n.Address, heard, firstLine(n.Message))
	}
	return t.write(s.screen.out, s.screen.style)
}

// cores is what is promised of a node's processors, and what it has.
func cores(c agent.Capacity) string {
	if c.Allocatable == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f of %.1f", float64(c.Requested)/1000, float64(c.Allocatable)/1000)
}

func memory(c agent.Capacity) string {
	if c.Allocatable == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f of %.1f GiB", float64(c.Requested)/(1<<30), float64(c.Allocatable)/(1<<30))
}
