package build

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/manifest"
)

// build makes the images of all components, one after the other, and releases
// them together.
func (m *Manager) build(ctx context.Context, b *agent.Build) (agent.Release, error) {
	request, err := m.cfg.Store.BuildRequest(ctx, b.ID)
	if err != nil {
		return agent.Release{}, err
	}
	source := filepath.Join(m.folder(b.ID), sourceFolder)
	components, err := readProject(source, b.Environment)
	if err != nil {
		return agent.Release{}, err
	}
	options, carried, err := m.options(ctx)
	if err != nil {
		return agent.Release{}, err
	}
	deploy := deployOf(components, request)
	deploy.Build = b.ID
	b.Components = nil
	var tests []agent.TestCase
	for i, c := range components {
		w := work{m: m, build: b, request: request, source: source, component: c, options: options, carried: carried, mask: newMask(request.Secrets)}
		made, err := w.image(ctx)
		if tests = append(tests, w.tests...); len(w.tests) > 0 {
			if err := writeTests(m.folder(b.ID), tests); err != nil {
				m.cfg.Log.Warn("the reports of tests can't be kept", "build", b.ID, "err", err)
			}
		}
		if err != nil {
			return agent.Release{}, err
		}
		b.Components = append(b.Components, made)
		if err := m.cfg.Store.UpdateBuild(ctx, b.ID, b.Components); err != nil {
			return agent.Release{}, err
		}
		m.publish(*b)
		deploy.Components[i].Image = made.Image
	}
	if request.Only {
		return agent.Release{}, nil
	}
	release, err := m.cfg.Deployer.Deploy(ctx, b.App, b.Environment, deploy, b.By)
	if err != nil {
		return agent.Release{}, err
	}
	m.log(b.ID).note(fmt.Sprintf("release %d is on its way", release.Number))
	return release, nil
}

// options are the appliance's own base images where it carries them, so that
// nothing has to be fetched, and public ones else.
func (m *Manager) options(ctx context.Context) (Options, []string, error) {
	carried, err := m.cfg.Bases.Bases(ctx)
	if err != nil {
		return Options{}, nil, err
	}
	options := Options{Images: PublicImages(), CA: m.cfg.CA}
	if own := OwnImages(); slices.Contains(carried, own.Base) {
		options.Images = own
	}
	return options, carried, nil
}

// work makes the image of one component.
type work struct {
	m         *Manager
	build     *agent.Build
	request   agent.BuildRequest
	source    string
	component manifest.Component
	options   Options
	carried   []string
	mask      *mask
	tests     []agent.TestCase // once they ran
}

// image builds the component, after its tests where those are asked for. A
// component that names an image is taken as it is.
func (w *work) image(ctx context.Context) (agent.BuildComponent, error) {
	c := w.component
	made := agent.BuildComponent{Name: c.Name, From: "image", Image: c.Image}
	if c.Build == nil {
		return made, nil
	}
	plan, err := planOf(w.source, c, w.request, fmt.Sprintf("%s-%d", reportsMount, w.build.ID), w.options)
	if err != nil {
		return made, w.named(err)
	}
	made.From = plan.from
	checked, err := CheckContext(ctx, plan.folder, plan.ignore, w.m.cfg.Limits)
	if err != nil {
		return made, w.named(err)
	}
	switch {
	case checked.Own && plan.dockerfile != nil:
		plan.ignore = append(plan.ignore, checked.Ignore...) // the template's own hold too
	case checked.Own:
		plan.ignore = nil // BuildKit reads the folder's own
	}
	if err := w.m.room(); err != nil {
		return made, w.named(err)
	}
	w.note(fmt.Sprintf("building it from %s: %d files, %s", plan.from, checked.Files, megabytes(checked.Bytes)))
	for _, warning := range plan.warnings {
		w.add(agent.BuildLine{Kind: string(buildkit.StepWarning), Text: warning})
	}
	if w.request.Test && plan.test != "" {
		w.note("running its tests")
		_, err := w.m.cfg.Builder.Solve(ctx, w.job(plan, plan.test, ""), w.event)
		w.reports(ctx, plan)
		if err != nil {
			return made, w.named(err)
		}
		made.Tested = true
	}
	// Named after the build: what is released is the digest.
	name := fmt.Sprintf("%s/%s:build-%d", w.build.App, c.Name, w.build.ID)
	push := name
	if w.request.Only {
		push = ""
	}
	result, err := w.m.cfg.Builder.Solve(ctx, w.job(plan, c.Build.Target, push), w.event)
	if err != nil {
		return made, w.named(err)
	}
	if w.request.Only {
		w.note("built it; the image is thrown away")
		return made, nil
	}
	made.Image, made.Digest = agent.RegistryHost+"/"+name+"@"+result.Digest, result.Digest
	w.note("built " + made.Image)
	return made, nil
}

func (w *work) job(p plan, target, push string) buildkit.Job {
	key, mounts := w.build.App+"/"+w.component.Name, "app/"+w.build.App
	if w.request.Apart != "" {
		mounts = "apart/" + w.build.App + "/" + w.request.Apart
		key = mounts + "/" + w.component.Name
	}
	secrets := map[string][]byte{}
	for name, value := range w.request.Secrets {
		secrets[secretPrefix+name] = []byte(value)
		if name != SecretCA { // a Dockerfile's own steps know them by their names
			secrets[name] = []byte(value)
		}
	}
	return buildkit.Job{
		Key: key, Mounts: mounts, Apart: w.request.Apart, Secrets: secrets,
		Context: p.folder, Dockerfile: p.dockerfile, Ignore: p.ignore, File: p.file, Target: target, Args: argsOf(w.component, w.request),
		Labels: map[string]string{"hks.dev/app": w.build.App, "hks.dev/component": w.component.Name, "hks.dev/build": strconv.FormatInt(w.build.ID, 10)},
		Push:   push, Fresh: w.request.Fresh, Carried: w.carried,
	}
}

// event writes what the builder tells into the log.
func (w *work) event(e buildkit.Event) {
	line := agent.BuildLine{Time: e.Time, Kind: string(e.Kind), Step: e.Name, Text: e.Text}
	if e.Kind == buildkit.StepDone {
		line.Text = e.Took.Round(10 * time.Millisecond).String()
	}
	w.add(line)
}

func (w *work) note(text string) { w.add(agent.BuildLine{Kind: "note", Text: text}) }

func (w *work) add(line agent.BuildLine) {
	line.Component = w.component.Name
	line.Text, line.Step = w.mask.line(line.Text), w.mask.text(line.Step)
	w.m.log(w.build.ID).add(line)
}

// named says which component an error is about.
func (w *work) named(err error) error {
	e, ok := err.(*agent.Error) //nolint:errorlint // only the outermost may be shown otherwise
	if !ok || strings.HasPrefix(e.Message, w.component.Name+":") {
		return err
	}
	named := *e
	named.Message = w.component.Name + ": " + e.Message
	return &named
}
