package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// changeOptions are common to the commands that change a running application
// and wait until the change was seen.
type changeOptions struct {
	*session
	app         string
	environment string
	noWait      bool
}

func (o *changeOptions) flags(cmd *cobra.Command) {
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as the change is accepted")
}

// change is one of those commands: what to ask for, when it is reached, and
// how to say so.
type change struct {
	ask  func(context.Context, *client.Client, appRef) (agent.App, error)
	done func(agent.App) bool
	said string // such as stopped
}

const changeTimeout = 5 * time.Minute

func (o *changeOptions) apply(ctx context.Context, ch change) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		app, err := ch.ask(ctx, c, ref)
		if err == nil && !o.noWait {
			app, err = o.await(ctx, c, ref, app, ch)
		}
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(app)
		}
		if o.noWait {
			o.screen.print("%s: accepted, now %s; see hks app show %s", ref, app.Status, ref.arg())
			return nil
		}
		o.screen.print("%s is %s", ref, ch.said)
		return nil
	})
}

// await watches the application until the change is seen, and says what it
// waits for. The answer to the request itself may be older than the change,
// so the application is always read once more.
func (o *changeOptions) await(ctx context.Context, c *client.Client, ref appRef, app agent.App, ch change) (agent.App, error) {
	limited, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	told := ""
	for {
		next, err := c.App(limited, ref.name, ref.env)
		if err == nil {
			app = next
			if ch.done(app) {
				return app, nil
			}
			if app.Status == agent.AppError {
				return app, &agent.Error{Code: agent.CodeRollout, Message: ref.String() + ": " + app.Reason, Fix: app.Fix}
			}
			if line := string(app.Status) + ": " + app.Reason; app.Reason != "" && line != told && !o.json {
				told = line
				o.screen.note("%s", clean(line))
			}
			err = pause(limited, pollPause)
		}
		if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return app, agent.Errorf(agent.CodeRollout, "it goes on; look again with hks app show "+ref.arg(), "%s is still %s after %s", ref, app.Status, changeTimeout)
		}
		if err != nil {
			return app, err
		}
	}
}

// settled tells that an application runs with all the instances asked for.
func settled(app agent.App) bool {
	return app.Status == agent.AppRunning && app.Ready == app.Replicas
}
