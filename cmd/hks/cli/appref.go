package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
)

// appRef names an application: web with -e, or web/production.
type appRef struct {
	name string
	env  agent.Environment
}

func (r appRef) String() string { return r.name + "/" + string(r.env) }

// arg is how to write the reference in a command.
func (r appRef) arg() string {
	if r.env == agent.Staging {
		return r.name
	}
	return r.String()
}

// parseRef reads an APP argument; environment is the flag's value.
func parseRef(arg, environment string) (appRef, error) {
	name, inArg, both := strings.Cut(arg, "/")
	if both && environment != "" && environment != inArg {
		return appRef{}, usagef("name the environment once", "%s and --environment %s disagree", arg, environment)
	}
	if both {
		environment = inArg
		if inArg == "" {
			environment = "?" // web/ is not web
		}
	}
	if err := agent.ValidateName("application", name); err != nil {
		return appRef{}, asUsage(err)
	}
	env, err := agent.ParseEnvironment(environment)
	if err != nil {
		return appRef{}, asUsage(err)
	}
	return appRef{name: name, env: env}, nil
}

// environmentFlag adds --environment with its completion.
func environmentFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVarP(value, "environment", "e", "", "staging or production (default staging)")
	complete := cobra.FixedCompletions([]string{string(agent.Staging), string(agent.Production)}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("environment", complete); err != nil {
		panic(err) // the flag was added a line above
	}
}

// completionTimeout keeps the Tab key quick when the appliance is away.
const completionTimeout = 2 * time.Second

// completeApp offers the applications, and for a second argument their releases.
func (s *session) completeApp(withRelease bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		environment := ""
		if flag := cmd.Flags().Lookup("environment"); flag != nil {
			environment = flag.Value.String()
		}
		switch {
		case len(args) == 0:
			return s.appNames(ctx, environment), cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1 && withRelease:
			return s.releaseNumbers(ctx, args[0], environment), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// appNames is empty when anything fails: completion must not disturb.
func (s *session) appNames(ctx context.Context, environment string) []string {
	c, err := s.client()
	if err != nil {
		return nil
	}
	apps, err := c.Apps(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, app := range apps {
		ref := appRef{app.Name, app.Environment}
		about := fmt.Sprintf("\t%s, release %d", app.Status, app.Release)
		if environment == "" {
			names = append(names, ref.arg()+about)
		} else if environment == string(app.Environment) {
			names = append(names, app.Name+about)
		}
	}
	slices.Sort(names)
	return names
}

func (s *session) releaseNumbers(ctx context.Context, arg, environment string) []string {
	ref, err := parseRef(arg, environment)
	if err != nil {
		return nil
	}
	c, err := s.client()
	if err != nil {
		return nil
	}
	releases, err := c.Releases(ctx, ref.name, ref.env)
	if err != nil {
		return nil
	}
	numbers := make([]string, 0, len(releases))
	for _, r := range releases {
		numbers = append(numbers, fmt.Sprintf("%d\t%s, %s, %s", r.Number, imagesText(r.Spec), r.Status, ago(s.now(), r.CreatedAt)))
	}
	return numbers
}

// parseRelease reads a release's number, such as 12 or v12.
func parseRelease(arg string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(arg, "v"))
	if err != nil || n < 1 {
		return 0, usagef("give its number; hks releases APP lists them", "%q is not a release", arg)
	}
	return n, nil
}
