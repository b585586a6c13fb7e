package installer

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	identity "hks.dev/hks/agent/machine"
)

func readdressCommand(cfg Config, root *string) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "readdress",
		Short: "Give the cluster the address and name that this machine has now",
		Long: "Gives the cluster the address and name that this machine has now: k3s and the agent are started anew, which makes\n" +
			"the certificates that name an address anew too. Apps go on running; the node keeps its name in the cluster, and the\n" +
			"API its certificate, whose fingerprint the clients know.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			return m.readdress(cmd.Context(), timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait until all parts are healthy")
	return cmd
}

func (m *machine) readdress(ctx context.Context, timeout time.Duration) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	if !exists(m.paths.State("hks.db")) {
		return agent.Errorf(agent.CodeNotFound, "install one: hks-installer up", "there is no appliance on this machine")
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed, err := m.settleAddress(ctx, true)
	if err != nil {
		return err
	}
	s, err := m.agentService()
	if err != nil {
		return err
	}
	if err := m.runAgent(ctx, s, timeout); err != nil {
		return err
	}
	if changed == "" {
		changed = "nothing had changed; everything was started anew"
	}
	fmt.Fprintf(m.out, "%s\n", changed)
	return m.printAccess(ctx)
}

// settleAddress records the address and name that the machine has now, and
// stops what knows the old ones, so that its next start takes the new ones. It
// returns what has changed, in words. Unless it is forced it does nothing when
// nothing has.
func (m *machine) settleAddress(ctx context.Context, force bool) (string, error) {
	recorded, err := identity.Read(m.paths.MachineFile())
	if err != nil {
		return "", err
	}
	fixed, _ := m.settings.K3s.Extra["node-ip"].(string)
	now := identity.Now(fixed)
	changed := recorded.Changed(now)
	if changed == "" && !force || recorded.Node == "" && !force {
		return "", nil
	}
	if now.Address == "" {
		return "", agent.Errorf(agent.CodeConflict, "bring the network up, then run it again", "this machine has no address by which it reaches others")
	}
	moved, err := moveSettings(m.paths.ConfigFile(), identity.Owns, now.Address)
	if err != nil {
		return "", err
	}
	for _, line := range moved {
		m.say("%s", line)
	}
	if changed != "" {
		m.say("the machine has moved: %s", changed)
	}
	all, err := m.services()
	if err != nil {
		return "", err
	}
	for _, s := range all {
		if s.name != "the agent" && s.name != "k3s" {
			continue
		}
		m.say("stopping %s", s.name)
		if err := s.Stop(ctx); err != nil {
			return "", fmt.Errorf("stopping %s: %w", s.name, err)
		}
	}
	now.Node = recorded.Node
	if now.Node == "" {
		now.Node = m.settings.K3s.NodeName
	}
	if now.Node == "" {
		now.Node = now.Host
	}
	return changed, now.Write(m.paths.MachineFile())
}
