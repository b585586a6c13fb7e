package cli

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type logsOptions struct {
	*session
	app         string
	environment string
	query       agent.LogQuery
	timestamps  bool
	grep        string
	pattern     *regexp.Regexp // of grep; nil: all lines
	order       map[string]int // instances in the order they were seen
}

func newLogsCommand(s *session) *cobra.Command {
	o := logsOptions{session: s, order: map[string]int{}}
	cmd := &cobra.Command{
		Use:   "logs APP",
		Short: "Show the output of an application",
		Example: `  hks logs -f web
  hks logs web/production --since 1h
  hks logs web --previous          # of the container before the last crash`,
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().StringVar(&o.query.Component, "component", "", "only of this component")
	cmd.Flags().StringVar(&o.grep, "grep", "", "only lines that match this regular expression")
	cmd.Flags().BoolVarP(&o.query.Follow, "follow", "f", false, "go on with new lines as they come")
	cmd.Flags().BoolVarP(&o.query.Previous, "previous", "p", false, "of the container before the last restart")
	cmd.Flags().IntVarP(&o.query.Tail, "tail", "n", 200, "how many of the last lines of each instance")
	cmd.Flags().DurationVar(&o.query.Since, "since", 0, "only lines of this last while, such as 10m")
	cmd.Flags().BoolVarP(&o.timestamps, "timestamps", "t", false, "show the time of each line")
	return cmd
}

func (o *logsOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	switch {
	case o.query.Tail < 1:
		return usagef("give a number of lines", "--tail %d shows nothing", o.query.Tail)
	case o.query.Since < 0:
		return usagef("give a while such as 10m", "--since %s is in the future", o.query.Since)
	case o.query.Follow && o.query.Previous:
		return usagef("leave one of them out", "--follow and --previous exclude each other: a container that ended writes no more")
	}
	if o.grep != "" {
		if o.pattern, err = regexp.Compile(o.grep); err != nil {
			return usagef("write it in RE2 syntax, such as 'error|warn'", "--grep is not a regular expression: %w", err)
		}
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		app, err := c.App(ctx, ref.name, ref.env)
		if err != nil {
			return err
		}
		for _, i := range app.Instances {
			o.order[i.Name] = len(o.order)
		}
		seen := false
		for line, err := range c.Logs(ctx, ref.name, ref.env, o.query) {
			if o.query.Follow && ctx.Err() != nil {
				return nil // following ends with Ctrl-C
			}
			if err != nil {
				return err
			}
			seen = true
			if o.pattern != nil && !o.pattern.MatchString(line.Text) {
				continue
			}
			if err := o.show(line); err != nil {
				return err
			}
		}
		if !seen && !o.json {
			o.screen.note("%s wrote nothing; what became of its releases: hks releases %s", ref, ref.arg())
		}
		return nil
	})
}

func (o *logsOptions) show(line agent.LogLine) error {
	if o.json {
		return o.screen.printJSONLine(line)
	}
	n, known := o.order[line.Instance]
	if !known {
		n = len(o.order)
		o.order[line.Instance] = n
	}
	text := line.Text
	if o.screen.outTTY {
		text = clean(text)
	}
	prefix := ""
	if len(o.order) > 1 {
		prefix = o.screen.style.nth(n, shortInstance(line.Instance)) + " "
	}
	if o.timestamps {
		prefix += o.screen.style.dim(line.Time.Local().Format(time.RFC3339)) + " "
	}
	o.screen.print("%s%s", prefix, text)
	return nil
}

// shortInstance is the part of a pod's name that differs between instances.
func shortInstance(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }
