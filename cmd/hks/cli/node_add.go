package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// How a join is followed.
const (
	joinPoll    = time.Second
	joinTimeout = 40 * time.Minute // the invitation's life, and what a slow machine takes
)

type nodeAddOptions struct {
	*session
	name      string
	cloudInit bool
	noWait    bool
}

func newNodeAddCommand(s *session) *cobra.Command {
	o := nodeAddOptions{session: s}
	cmd := &cobra.Command{
		Use:   "add NODE",
		Short: "Let another machine join as a dedicated node",
		Long: `Let another machine join as a dedicated node. It prints one line to run on that
machine as root, which is good for one machine and ten minutes, and follows the
join until the node is ready. Programs and images come from the appliance: the
other machine needs no internet.`,
		Example: `  hks node add prod-1
  hks node add prod-1 --cloud-init > user-data`,
		Args: takes("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.cloudInit, "cloud-init", false, "print user data for a cloud's VM instead, and don't wait")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "don't wait for the machine")
	return cmd
}

func (o *nodeAddOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		node, err := c.InviteNode(ctx, o.name)
		if err != nil {
			return err
		}
		switch {
		case o.json && (o.noWait || o.cloudInit):
			return o.screen.printJSON(node)
		case o.cloudInit:
			o.screen.print("%s", node.Invite.CloudInit)
			return nil
		case o.json:
			if err := o.screen.printJSONLine(node); err != nil {
				return err
			}
		default:
			o.screen.print("run this on the other machine, as root, within %s:\n\n  %s\n", time.Until(node.Invite.ExpiresAt).Round(time.Minute), node.Invite.Command)
		}
		if o.noWait {
			return nil
		}
		return o.follow(ctx, c)
	})
}

// follow shows the steps until the node is ready or the join has failed.
func (o *nodeAddOptions) follow(ctx context.Context, c *client.Client) error {
	limited, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	poll := time.NewTicker(joinPoll)
	defer poll.Stop()
	shown := 0
	for {
		node, err := c.Node(limited, o.name)
		if err == nil {
			shown = o.showSteps(node, shown)
			switch node.Status {
			case agent.NodeReady:
				if o.json {
					return o.screen.printJSONLine(node)
				}
				o.screen.print("%s is ready", node.Name)
				return nil
			case agent.NodeFailed:
				return agent.Errorf(agent.CodeConflict, node.Fix, "%s did not join: %s", node.Name, node.Message)
			case agent.NodeProvisioning, agent.NodeDraining, agent.NodeRemoving:
			}
		} else if gone(err) {
			return err
		}
		select {
		case <-limited.Done():
			if errors.Is(limited.Err(), context.DeadlineExceeded) {
				return agent.Errorf(agent.CodeConflict, "see how it is with: hks node show "+o.name, "%s is not ready after %s", o.name, joinTimeout)
			}
			return agent.Errorf(agent.CodeConflict, "see how it is with: hks node show "+o.name, "no longer watching; the join goes on by itself")
		case <-poll.C:
		}
	}
}

// showSteps prints the steps that were done since the last look.
func (o *nodeAddOptions) showSteps(node agent.Node, shown int) int {
	for _, step := range node.Steps[min(shown, len(node.Steps)):] {
		if step.State == agent.StepRunning {
			break
		}
		if !o.json {
			o.screen.print("  %s  %s", o.screen.style.status(step.State), clean(step.Name))
		}
		shown++
	}
	return shown
}
