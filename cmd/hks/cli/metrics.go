package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type metricsOptions struct {
	*session
	app         string
	environment string
	watch       bool
	interval    time.Duration
	since       time.Duration
	node        string
	service     string
}

func newMetricsCommand(s *session) *cobra.Command {
	o := metricsOptions{session: s}
	cmd := &cobra.Command{
		Use:   "metrics [APP]",
		Short: "Show what applications, services and nodes take, and how they answer",
		Example: `  hks metrics --watch
  hks metrics web --since 7d
  hks metrics --service db --since 24h
  hks metrics --node hks`,
		Args:              takes("[APP]"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.app = args[0]
			}
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it again and again")
	cmd.Flags().DurationVar(&o.interval, "interval", 2*time.Second, "how often, with --watch")
	whileFlag(cmd, &o.since, "since", time.Hour, "how far back the lines go, such as 6h or 7d; up to 30d")
	cmd.Flags().StringVar(&o.node, "node", "", "show this node instead of applications")
	cmd.Flags().StringVar(&o.service, "service", "", "show this service instead of applications")
	for flag, complete := range map[string]cobra.CompletionFunc{"node": s.completeNode, "service": s.completeService} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flag was added a line above
		}
	}
	return cmd
}

func (o *metricsOptions) run(ctx context.Context) error {
	if o.interval < 200*time.Millisecond || o.since <= 0 || o.since > longestSince {
		return usagef("use at least 200ms, and a while such as 1h, up to 30d", "--interval %s or --since %s is out of range", o.interval, o.since)
	}
	if o.app != "" && (o.node != "" || o.service != "") || o.node != "" && o.service != "" {
		return usagef("name one thing", "an application, --node and --service can't be shown at once")
	}
	show := o.all
	switch {
	case o.node != "":
		show = func(ctx context.Context, c *client.Client) error { return o.other(ctx, c, agent.SubjectNode, o.node) }
	case o.service != "":
		show = func(ctx context.Context, c *client.Client) error {
			return o.other(ctx, c, agent.SubjectService, o.service)
		}
	}
	if o.app != "" {
		ref, err := parseRef(o.app, o.environment)
		if err != nil {
			return err
		}
		show = func(ctx context.Context, c *client.Client) error { return o.one(ctx, c, ref) }
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		if !o.watch {
			return show(ctx, c)
		}
		for {
			if o.screen.outTTY && !o.json {
				fmt.Fprint(o.screen.out, "\x1b[H\x1b[2J") // home, and clear
			}
			if err := show(ctx, c); err != nil && ctx.Err() == nil {
				return err
			}
			if pause(ctx, o.interval) != nil {
				return nil // watching ends with Ctrl-C
			}
		}
	})
}

// printAny is one document, or one line of a stream.
func (o *metricsOptions) printAny(v any) error {
	if o.watch {
		return o.screen.printJSONLine(v)
	}
	return o.screen.printJSON(v)
}

// appUse is what one application takes, as JSON.
type appUse struct {
	Name        string            `json:"name"`
	Environment agent.Environment `json:"environment"`
	Usage       agent.Usage       `json:"usage"`
	Points      []agent.Point     `json:"points,omitempty"` // of the last day at most
	Series      []agent.Series    `json:"series,omitempty"`
}

func (o *metricsOptions) all(ctx context.Context, c *client.Client) error {
	apps, err := c.Apps(ctx)
	if err != nil {
		return err
	}
	uses := []appUse{}
	t := newTable("APP", "STATUS", "CPU (CORES)", "", "MEMORY", "", "SAMPLED")
	style := o.screen.style
	for _, app := range apps {
		if o.environment != "" && o.environment != string(app.Environment) {
			continue
		}
		uses = append(uses, appUse{Name: app.Name, Environment: app.Environment, Usage: app.Usage})
		t.row(style.bold(appRef{app.Name, app.Environment}.String()), style.status(string(app.Status)),
			cpuText(app.Usage), shareBar(style, app.Usage.CPU, app.Usage.CPULimit),
			memoryText(app.Usage), shareBar(style, float64(app.Usage.Memory), float64(app.Usage.MemoryLimit)),
			ago(o.now(), app.Usage.SampledAt))
	}
	if o.json {
		return o.printAny(uses)
	}
	return t.write(o.screen.out, style)
}

func shareBar(s style, used, limit float64) string {
	if limit == 0 {
		return ""
	}
	return bar(s, used, limit, 10)
}

func (o *metricsOptions) one(ctx context.Context, c *client.Client, ref appRef) error {
	app, err := c.App(ctx, ref.name, ref.env)
	if err != nil {
		return err
	}
	series, err := c.Series(ctx, agent.SubjectApp, ref.name, ref.env, o.since)
	if err != nil {
		return err
	}
	if o.json {
		points, err := c.Metrics(ctx, ref.name, ref.env, min(o.since, longestPoints))
		if err != nil {
			return err
		}
		return o.printAny(appUse{Name: app.Name, Environment: app.Environment, Usage: app.Usage, Points: points, Series: series})
	}
	f := facts{}
	f.add("App", o.screen.style.bold(ref.String())+"  "+o.screen.style.status(string(app.Status)))
	f.add("CPU", fmt.Sprintf("%s  %s", cpuText(app.Usage), sparkOf(totalOf(series, "cpu"))))
	f.add("Memory", fmt.Sprintf("%s  %s", memoryText(app.Usage), sparkOf(totalOf(series, "memory"))))
	addSeries(&f, series, "cpu", "memory")
	f.add("Sampled", ago(o.now(), app.Usage.SampledAt))
	if err := f.write(o.screen.out, o.screen.style); err != nil {
		return err
	}
	if len(app.Instances) == 0 {
		return nil
	}
	o.screen.print("")
	return o.showInstances(app.Instances)
}
