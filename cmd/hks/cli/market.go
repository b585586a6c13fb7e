package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "market",
		Short: "Install and steer databases and other services",
		Long: `Install and steer databases and other services.

A service has a volume of its own, counted by the plan. An app gets its
credentials by hks bind; what is in it is saved by hks backup.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newMarketListCommand(s), newMarketInfoCommand(s), newMarketInstallCommand(s), newMarketShowCommand(s),
		newMarketUpgradeCommand(s), newMarketMoveCommand(s), newMarketRotateCommand(s), newMarketTestCommand(s), newMarketUninstallCommand(s),
	)
	return cmd
}

// jobOptions are common to commands that begin a job and watch it.
type jobOptions struct {
	*session
	noWait bool
}

func (o *jobOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as it is accepted")
}

// follow shows a job's steps to its end.
func (o *jobOptions) follow(ctx context.Context, c *client.Client, job agent.ServiceJob) (agent.ServiceJob, error) {
	if o.noWait {
		if o.json {
			return job, o.screen.printJSON(job)
		}
		o.screen.print("%s of %s is accepted; follow it: hks market show %s", job.Kind, job.Service, job.Service)
		return job, nil
	}
	job, err := c.FollowServiceJob(ctx, job, func(step agent.JobStep) { o.screen.note("%s", clean(step.Text)) })
	if err != nil {
		return job, err
	}
	if job.Failure != nil {
		return job, &agent.Error{Code: job.Failure.Code, Message: job.Failure.Message, Fix: job.Failure.Fix}
	}
	if o.json {
		return job, o.screen.printJSON(job)
	}
	return job, nil
}

// began begins a job and follows it.
func (o *jobOptions) began(ctx context.Context, begin func(ctx context.Context, c *client.Client) (agent.ServiceJob, error), said string) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		job, err := begin(ctx, c)
		if err != nil {
			return err
		}
		if _, err := o.follow(ctx, c, job); err != nil || o.json || o.noWait {
			return err
		}
		o.screen.print("%s", said)
		return nil
	})
}

// completeService lists services for completion.
func (s *session) completeService(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.serviceNames(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
}

func (s *session) serviceNames(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil
	}
	services, err := c.Services(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, service := range services {
		names = append(names, service.Name+"\t"+service.Title+", "+string(service.Status))
	}
	slices.Sort(names)
	return names
}

// confirmName asks for a name to be typed before something is lost.
func (s *session) confirmName(yes bool, name, what, command string) error {
	if yes {
		return nil
	}
	if !s.screen.inTTY {
		return usagef("if you mean it: "+command+" --yes", "this asks for confirmation, and there is no terminal to ask on")
	}
	s.screen.note("%s", what)
	answer, err := s.screen.ask("type " + name + " to go on: ")
	if err != nil {
		return err
	}
	if answer != name {
		return agent.Errorf(agent.CodeConflict, "", "nothing was done: the name does not match")
	}
	return nil
}

// valuesOf reads --set KEY=VALUE; a dot leads into a value of values.
func valuesOf(set []string) (map[string]any, error) {
	values := map[string]any{}
	for _, one := range set {
		path, value, ok := strings.Cut(one, "=")
		if !ok || path == "" {
			return nil, usagef("write it as --set KEY=VALUE", "%q is not a value", one)
		}
		at, keys := values, strings.Split(path, ".")
		for _, key := range keys[:len(keys)-1] {
			inner, ok := at[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[key] = inner
			}
			at = inner
		}
		switch last := keys[len(keys)-1]; value {
		case "true", "false":
			at[last] = value == "true"
		default:
			at[last] = value
		}
	}
	return values, nil
}

func dateText(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
