package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type statusOptions struct{ *session }

func newStatusCommand(s *session) *cobra.Command {
	o := statusOptions{session: s}
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the appliance's parts, open incidents and the workspace's quota",
		Example: "  hks status",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *statusOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		system, err := c.System(ctx)
		if err != nil {
			return err
		}
		var workspace *agent.Workspace
		w, err := c.Workspace(ctx)
		switch agent.CodeOf(err) {
		case "":
			workspace = &w
		case agent.CodeNotFound, agent.CodeWorkspaceMissing, agent.CodeClusterAway: // the parts say more
		default:
			return err
		}
		incidents, incidentsErr := c.Incidents(ctx, mostIncidents, false)
		incidents = slices.DeleteFunc(incidents, func(i agent.Incident) bool { return !i.Open() })
		if o.json {
			answer := struct {
				agent.System
				Workspace *agent.Workspace `json:"workspace,omitempty"`
				Incidents *int             `json:"openIncidents,omitempty"` // absent when it is not known
			}{system, workspace, nil}
			if n := len(incidents); incidentsErr == nil {
				answer.Incidents = &n
			}
			return o.screen.printJSON(answer)
		}
		if err := o.showParts(system.Parts); err != nil {
			return err
		}
		o.showVersion(system)
		o.screen.print("")
		o.showIncidents(incidents, incidentsErr)
		o.screen.print("")
		if workspace == nil {
			o.screen.print("Workspace: %v", err)
			return nil
		}
		return o.showWorkspace(*workspace)
	})
}

// showVersion says which version serves and how the last change of it went.
func (o *statusOptions) showVersion(system agent.System) {
	if system.Version == "" {
		return // an appliance from before it was told
	}
	o.screen.print("")
	o.screen.print("Version: %s", clean(system.Version))
	u := system.Upgrade
	if u == nil {
		return
	}
	path := clean(u.From) + " to " + clean(u.To)
	switch u.State {
	case agent.UpgradeDone:
		o.screen.print("Last %s: %s, %s ago", u.Kind, path, span(o.now().Sub(u.EndedAt)))
	case agent.UpgradeReturned:
		o.screen.print("Last %s: %s, %s", u.Kind, path, o.screen.style.yellow("failed and went back by itself: "+clean(u.Reason)))
	case agent.UpgradeStuck:
		o.screen.print("Last %s: %s, %s", u.Kind, path, o.screen.style.red("failed, and so did the way back; on the machine: hks-installer doctor"))
	default:
		o.screen.print("Under way: %s from %s, at the step %s; if it was cut off, on the machine: hks-installer doctor", u.Kind, path, clean(u.Step))
	}
}

// showIncidents says in one line whether anything is wrong.
func (o *statusOptions) showIncidents(open []agent.Incident, err error) {
	critical := 0
	for _, i := range open {
		if i.Severity == agent.SeverityCritical {
			critical++
		}
	}
	switch {
	case err != nil:
		o.screen.print("Incidents: %v", err)
	case len(open) == 0:
		o.screen.print("Incidents: none open")
	case critical > 0:
		o.screen.print("Incidents: %s, %d critical; see hks incidents", o.screen.style.red(fmt.Sprintf("%d open", len(open))), critical)
	default:
		o.screen.print("Incidents: %s; see hks incidents", o.screen.style.yellow(fmt.Sprintf("%d open", len(open))))
	}
}

func (o *statusOptions) showParts(parts []agent.Part) error {
	t := newTable("PART", "STATE", "VERSION", "")
	for _, p := range parts {
		state := "healthy"
		if !p.Healthy {
			state = "unhealthy"
		}
		t.row(p.Name, o.screen.style.status(state), p.Version, p.Message)
	}
	return t.write(o.screen.out, o.screen.style)
}
