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
}

func newMetricsCommand(s *session) *cobra.Command {
	o := metricsOptions{session: s}
	cmd := &cobra.Command{
		Use:   "metrics [APP]",
		Short: "Show what applications take of CPU and memory",
		Example: `  hks metrics --watch
  hks metrics web --since 6h
  hks metrics web --json`,
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
	cmd.Flags().DurationVar(&o.since, "since", time.Hour, "how far back the chart of one application goes")
	return cmd
}

func (o *metricsOptions) run(ctx context.Context) error {
	if o.interval < 200*time.Millisecond || o.since <= 0 {
		return usagef("use at least 200ms, and a while such as 1h", "--interval %s or --since %s is out of range", o.interval, o.since)
	}
	show := o.all
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
	Points      []agent.Point     `json:"points,omitempty"`
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
	points, err := c.Metrics(ctx, ref.name, ref.env, o.since)
	if err != nil {
		return err
	}
	if o.json {
		return o.printAny(appUse{Name: app.Name, Environment: app.Environment, Usage: app.Usage, Points: points})
	}
	cpu, memory := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		cpu[i], memory[i] = p.CPU, float64(p.Memory)
	}
	f := facts{}
	f.add("App", o.screen.style.bold(ref.String())+"  "+o.screen.style.status(string(app.Status)))
	f.add("CPU", fmt.Sprintf("%s  %s", cpuText(app.Usage), spark(cpu, 50)))
	f.add("Memory", fmt.Sprintf("%s  %s", memoryText(app.Usage), spark(memory, 50)))
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
