package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// configOptions are common to the commands that change the configuration of
// an application: each change is a release, which is watched to its end.
type configOptions struct {
	*session
	app         string
	environment string
	noWait      bool
	timeout     time.Duration
}

func (o *configOptions) flags(cmd *cobra.Command) {
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as the release is accepted")
	cmd.Flags().DurationVar(&o.timeout, "timeout", deployTimeout, "how long to watch; the release itself goes on")
}

// setEnv lays values over those of the latest release, and takes names away.
func (o *configOptions) setEnv(ctx context.Context, env envOptions, given map[string]string, said string) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		latest, err := latestSpec(ctx, c, ref)
		if err != nil {
			return err
		}
		for _, name := range env.unset {
			if _, ok := latest.Env[name]; !ok {
				return agent.Errorf(agent.CodeNotFound, "see what is set: hks env list "+ref.arg(), "%s has no variable %s", ref, name)
			}
		}
		r, err := c.Deploy(ctx, ref.name, ref.env, agent.Deploy{Patch: env.patch(given)})
		if err != nil {
			return err
		}
		return o.watch(ctx, c, ref, r, said)
	})
}

// watch follows a release that was accepted.
func (o *configOptions) watch(ctx context.Context, c *client.Client, ref appRef, r agent.Release, said string) error {
	if o.noWait {
		return o.accepted(ref, r)
	}
	if !o.json {
		o.screen.note("%s: release %d %s", ref, r.Number, said)
	}
	return o.watchRelease(ctx, c, ref, r.Number, o.timeout)
}

// latestSpec is the configuration that the next release starts from.
func latestSpec(ctx context.Context, c *client.Client, ref appRef) (agent.Spec, error) {
	releases, err := c.Releases(ctx, ref.name, ref.env)
	if err != nil || len(releases) == 0 {
		return agent.Spec{}, err
	}
	return releases[0].Spec, nil
}
