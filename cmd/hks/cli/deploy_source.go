package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
	"hks.dev/hks/agent/manifest"
)

// fromSource tells whether to build a folder: one was named, or this one is
// the app's project and nothing says that only what runs is to be changed.
func (o *deployOptions) fromSource() bool {
	if o.given("source") || o.given("test") || o.given("fresh") {
		return true
	}
	if o.changesComponent() || o.spec.Name != "" || o.given("replicas") {
		return false
	}
	data, err := os.ReadFile(manifest.FileName)
	if err != nil {
		return false
	}
	project, err := manifest.Parse(data)
	return err != nil || o.name == "" || o.name == project.App // what is wrong with the file is told by who reads it
}

// deploySource sends a folder to be built, and watches the build and then the
// release that comes of it.
func (o *deployOptions) deploySource(ctx context.Context, env map[string]string) error {
	if o.changesComponent() || o.spec.Name != "" || o.given("replicas") {
		return usagef("write it into "+manifest.FileName+", or leave --source away", "what runs is given twice: by the source and by flags")
	}
	src, err := openSource(o.source)
	if err != nil {
		return err
	}
	defer func() { _ = src.root.Close() }() // only read from
	if o.name == "" && src.project != nil {
		o.name = src.project.App
	}
	if o.name == "" {
		return usagef("name it: hks deploy --source "+o.source+" --name web; or write a "+manifest.FileName+": hks init", "the application's name is missing")
	}
	ref, err := parseRef(o.name, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		request := agent.BuildRequest{Test: o.test, Fresh: o.fresh, Patch: o.env.patch(env)}
		build, err := o.submit(ctx, c, ref, src, request)
		if err != nil {
			return err
		}
		if o.noWait {
			if o.json {
				return o.screen.printJSON(build)
			}
			o.screen.print("%s: build %d is accepted; follow it: hks build logs %d -f", ref, build.ID, build.ID)
			return nil
		}
		done, err := o.watchBuild(ctx, c, build.ID, true)
		if err != nil {
			return err
		}
		if err := buildFailure(done); err != nil {
			return err
		}
		return o.watchRelease(ctx, c, ref, done.Release, o.timeout)
	})
}

// submit packs the source while it is sent.
func (o *deployOptions) submit(ctx context.Context, c *client.Client, ref appRef, src *source, request agent.BuildRequest) (agent.Build, error) {
	out, in := io.Pipe()
	packed := make(chan struct{})
	go func() { // ends with the upload, which closes the pipe
		defer close(packed)
		_ = in.CloseWithError(src.pack(ref.env, in))
	}()
	defer func() {
		_ = out.Close()
		<-packed
	}()
	var sent int64
	b, err := c.SubmitBuild(ctx, ref.name, ref.env, request, out, func(n int64) { sent = n })
	if err == nil && !o.json {
		o.screen.note("%s: build %d, %s of source sent", ref, b.ID, bytesText(sent))
	}
	return b, err
}

// watchBuild shows the log of a build, with follow until it ends.
func (s *session) watchBuild(ctx context.Context, c *client.Client, id int64, follow bool) (agent.Build, error) {
	for line, err := range c.BuildLog(ctx, id, follow) {
		if err != nil {
			if ctx.Err() != nil {
				return agent.Build{}, agent.Errorf(agent.CodeBuildFailed, fmt.Sprintf("follow it: hks build logs %d -f, stop it: hks build cancel %d", id, id), "no longer watching; build %d goes on by itself", id)
			}
			return agent.Build{}, err
		}
		if err := s.showBuildLine(line); err != nil {
			return agent.Build{}, err
		}
		if line.Build != nil {
			return *line.Build, nil
		}
	}
	return c.Build(ctx, id)
}

// showBuildLine prints one line of a build's log.
func (s *session) showBuildLine(line agent.BuildLine) error {
	if s.json {
		return s.screen.printJSONLine(line)
	}
	style := s.screen.style
	prefix := ""
	if line.Component != "" && line.Component != agent.DefaultComponent {
		prefix = style.bold(line.Component) + " "
	}
	switch line.Kind {
	case "started":
		if line.Step != "" && !strings.HasPrefix(line.Step, "[internal]") {
			s.screen.note("%s%s", prefix, clean(line.Step))
		}
	case "cached":
		s.screen.note("%s%s", prefix, style.dim("cached "+clean(line.Step)))
	case "log":
		s.screen.note("%s%s", prefix, style.dim("  "+clean(line.Text)))
	case "warning":
		s.screen.note("%s%s", prefix, style.yellow("warning: "+clean(line.Text)))
	case "failed":
		s.screen.note("%s%s", prefix, style.red("failed: "+clean(line.Step)))
	case "note":
		if line.Build == nil { // else the end is told by who watches
			s.screen.note("%s%s", prefix, clean(line.Text))
		}
	}
	return nil
}

// buildFailure is the error of a build that made no release; nil for one that did.
func buildFailure(b agent.Build) error {
	switch {
	case b.Failure != nil:
		return &agent.Error{Code: b.Failure.Code, Message: b.Failure.Message, Fix: b.Failure.Fix}
	case b.Status == agent.RunCancelled:
		return agent.Errorf(agent.CodeBuildFailed, "build again when you are ready: hks deploy", "build %d was cancelled", b.ID)
	}
	return nil
}
