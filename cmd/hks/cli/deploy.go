package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type deployOptions struct {
	*session
	name        string
	environment string
	spec        agent.Component // what to set; empty fields stay as they are
	env         envOptions
	replicas    int
	source      string // folder to build
	test, fresh bool   // of the build
	noWait      bool
	timeout     time.Duration

	given func(flag string) bool // set on the command line
}

// probeTCP as --health takes an HTTP path of an earlier release back.
const probeTCP = "tcp"

func newDeployCommand(s *session) *cobra.Command {
	o := deployOptions{session: s, env: envOptions{stdin: s.screen.in}}
	cmd := &cobra.Command{
		Use:   "deploy [APP] [-- COMMAND...]",
		Short: "Deploy the project in this folder, or an image, as a new release",
		Long: `Deploy a project or an image as a new release and watch it until it serves.

In the folder of a project (one with hks.yaml; hks init writes it), or with --source, the
source is sent to the appliance, which builds the images of all components and releases
them together. With --image nothing is built.

What you leave out stays as it is in the latest release; a new application needs
--image and --port. The image comes from any registry, or from the appliance's own
(hks image load). When a release fails, the one before it serves on.

Ctrl-C ends the watching only; the deployment goes on.`,
		Example: `  hks deploy                                    # the project in this folder
  hks deploy --source ./shop -e production --test
  hks deploy --name web --image web:1 --port 8080
  hks deploy --name web --image web:2 --env GREETING=hello
  hks deploy web -e production --image ghcr.io/me/web@sha256:... --port 8080 --replicas 3
  hks deploy web --env-file .env --health /healthz
  hks deploy web --image web:3 -- node server.js`,
		Args:              o.arguments,
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.given = cmd.Flags().Changed
			if n := cmd.ArgsLenAtDash(); n >= 0 && len(args) > n {
				if o.given("command") {
					return usagef("leave one of them out", "the command is given twice: by --command and after --")
				}
				o.spec.Command = args[n:]
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *deployOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "the application")
	environmentFlag(cmd, &o.environment)
	f.StringVar(&o.spec.Name, "component", "", "the component to change (default: the only one)")
	f.StringVar(&o.spec.Image, "image", "", "image to run, such as web:1 or ghcr.io/me/web:1")
	f.IntVar(&o.spec.Port, "port", 0, "the port that the container listens on")
	f.StringArrayVar(&o.env.pairs, "env", nil, "set a variable, KEY=VALUE (repeat for more)")
	f.StringArrayVar(&o.env.files, "env-file", nil, "set variables from a file of KEY=VALUE lines; - is standard input")
	f.StringArrayVar(&o.env.unset, "unset-env", nil, "take a variable away (repeat for more)")
	f.IntVar(&o.replicas, "replicas", 1, "number of instances (default: as it is, 1 for a new application)")
	f.Lookup("replicas").DefValue = "0"
	f.StringVar(&o.spec.CPU, "cpu", "", "CPU limit, such as 500m or 2")
	f.StringVar(&o.spec.Memory, "memory", "", "memory limit, such as 256Mi")
	f.StringVar(&o.spec.Host, "host", "", "host of its URL (default: made of the name and the appliance's domain)")
	f.StringVar(&o.spec.Path, "path", "", "path prefix of its URL (default /)")
	f.StringVar(&o.spec.Health, "health", "", "HTTP path that tells whether it is ready; tcp: that the port accepts connections (default tcp)")
	f.StringArrayVar(&o.spec.Command, "command", nil, "command to run instead of the image's own, one word a flag; or write it after --")
	f.StringVar(&o.source, "source", ".", "build this folder; without hks.yaml what is in it is found out")
	f.BoolVar(&o.test, "test", false, "run the components' tests before their images are built")
	f.BoolVar(&o.fresh, "fresh", false, "build without the cache of earlier builds")
	f.BoolVar(&o.noWait, "no-wait", false, "return as soon as the release is accepted")
	f.DurationVar(&o.timeout, "timeout", deployTimeout, "how long to watch; the deployment itself goes on")
}

// arguments takes the application's name from the arguments before --.
func (o *deployOptions) arguments(cmd *cobra.Command, args []string) error {
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		args = args[:n]
	}
	if err := takes("[APP]")(cmd, args); err != nil || len(args) == 0 {
		return err
	}
	if o.name != "" && o.name != args[0] {
		return usagef("name the application once", "--name %s and the argument %s disagree", o.name, args[0])
	}
	o.name = args[0]
	return nil
}

func (o *deployOptions) run(ctx context.Context) error {
	if o.fromSource() {
		env, err := o.env.read()
		if err != nil {
			return err
		}
		return o.deploySource(ctx, env)
	}
	if o.name == "" {
		return usagef("go to a project's folder (hks init writes its hks.yaml), or name an image: hks deploy --name web --image IMAGE --port PORT", "the application's name is missing")
	}
	ref, err := parseRef(o.name, o.environment)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return asUsage(err)
	}
	env, err := o.env.read()
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		deploy, err := o.request(ctx, c, ref, env)
		if err != nil {
			return err
		}
		r, err := c.Deploy(ctx, ref.name, ref.env, deploy)
		if err != nil {
			return err
		}
		if o.noWait {
			return o.accepted(ref, r)
		}
		if !o.json {
			o.screen.note("%s: release %d (%s)", ref, r.Number, imagesText(r.Spec))
		}
		return o.watchRelease(ctx, c, ref, r.Number, o.timeout)
	})
}

// check refuses what the appliance would refuse too, before it is asked.
func (o *deployOptions) check() error {
	if o.given("port") {
		if err := agent.ValidatePort(o.spec.Port); err != nil {
			return err
		}
	}
	for flag, value := range map[string]string{"image": o.spec.Image, "cpu": o.spec.CPU, "memory": o.spec.Memory, "host": o.spec.Host, "path": o.spec.Path, "health": o.spec.Health} {
		if o.given(flag) && value == "" {
			return usagef("leave it out to keep it as it is", "--%s has no value", flag)
		}
	}
	if o.spec.Host != "" {
		if err := agent.ValidateHost(o.spec.Host); err != nil {
			return err
		}
	}
	for field, path := range map[string]string{"path": o.spec.Path, "health": o.spec.Health} {
		if path == "" || field == "health" && path == probeTCP {
			continue
		}
		if err := agent.ValidatePath(field, path); err != nil {
			return err
		}
	}
	if o.given("replicas") && o.replicas < 1 {
		return usagef("to take it down for a while: hks app stop APP", "an application has at least one instance")
	}
	return nil
}

// request is what to ask for. The appliance keeps what is left out as it is in
// the latest release, which is read here only when it takes part: for the
// names of variables, and for an image or a port that was not given.
func (o *deployOptions) request(ctx context.Context, c *client.Client, ref appRef, env map[string]string) (agent.Deploy, error) {
	var d agent.Deploy
	if o.changesComponent() {
		d.Change = []agent.Component{o.spec}
	}
	full := o.spec.Image != "" && o.spec.Port != 0
	if full && env == nil && len(o.env.unset) == 0 && (!o.given("replicas") || o.spec.Name != "") {
		o.scale(&d, o.spec.Name)
		return d, nil
	}
	var latest agent.Spec
	releases, err := c.Releases(ctx, ref.name, ref.env)
	if err != nil && agent.CodeOf(err) != agent.CodeNotFound {
		return d, err
	}
	if len(releases) > 0 {
		latest = releases[0].Spec
	}
	d.Patch = o.env.patch(env)
	o.scale(&d, cmp.Or(o.spec.Name, onlyComponent(latest)))
	was, known := latest.Component(cmp.Or(o.spec.Name, onlyComponent(latest)))
	switch {
	case known || len(latest.Components) > 0 && o.spec.Name == "":
	case o.spec.Image == "":
		return d, usagef("name it: --image web:1, after hks image load, or an image of any registry", "%s is new, so it needs an image", ref)
	case o.spec.Port == 0 && was.Port == 0 && o.spec.Name == "":
		return d, usagef("give the port that the container listens on: --port 8080", "%s is new, so it needs a port", ref)
	}
	return d, nil
}

// changesComponent tells whether anything of a component was given.
func (o *deployOptions) changesComponent() bool {
	return slices.ContainsFunc([]string{"image", "port", "cpu", "memory", "host", "path", "health", "command"}, o.given) || o.spec.Command != nil
}

func (o *deployOptions) scale(d *agent.Deploy, component string) {
	if o.given("replicas") {
		d.Replicas = map[string]agent.Scale{component: agent.Fixed(o.replicas)}
	}
}

// onlyComponent is the name of the component of an app that has one only, or
// none yet; empty when it has several.
func onlyComponent(spec agent.Spec) string {
	switch len(spec.Components) {
	case 0:
		return agent.DefaultComponent
	case 1:
		return spec.Components[0].Name
	}
	return ""
}

// imagesText lists the images of a release.
func imagesText(spec agent.Spec) string {
	var images []string
	for _, c := range spec.Components {
		if image := clean(c.Image); !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	return strings.Join(images, ", ")
}
