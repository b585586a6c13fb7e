package daemon

import (
	"context"

	"hks.dev/hks/agent"
)

// bound is what the marketplace gives credentials to: apps, and functions under
// agent.OfFunction.
type bound struct {
	apps appEnv
	p    *parts // functions are built later
}

// SetEnv changes an app by a release. A function's next call has the values; what
// stands for its release is the version that serves.
func (b bound) SetEnv(ctx context.Context, name string, env agent.Environment, set map[string]string, unset []string, by string) (agent.Release, error) {
	if env != agent.OfFunction {
		return b.apps.SetEnv(ctx, name, env, set, unset, by)
	}
	f, err := b.p.functions.SetEnv(ctx, name, set, unset, by)
	return agent.Release{Number: f.Version, Status: agent.ReleaseDeploying}, err
}

// EnvNames lists the names that are set.
func (b bound) EnvNames(ctx context.Context, name string, env agent.Environment) ([]string, error) {
	if env != agent.OfFunction {
		return b.apps.EnvNames(ctx, name, env)
	}
	f, err := b.p.functions.Get(ctx, name)
	return f.Variables, err
}

// Release returns how far the change is: of a function, whether instances with
// the values from before still work on calls.
func (b bound) Release(ctx context.Context, name string, env agent.Environment, number int) (agent.Release, error) {
	if env != agent.OfFunction {
		return b.apps.Release(ctx, name, env, number)
	}
	settled, err := b.p.functions.Settled(name)
	r := agent.Release{Number: number, Status: agent.ReleaseDeploying}
	if settled {
		r.Status = agent.ReleaseSucceeded
	}
	return r, err
}
