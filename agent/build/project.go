package build

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

// readProject reads the components of a source: as its hks.yaml says, else the
// one that is found in a folder without it.
func readProject(folder string, env agent.Environment) ([]manifest.Component, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("opening a source: %w", err)
	}
	defer func() { _ = root.Close() }()
	project, err := manifest.Read(root.FS())
	if agent.CodeOf(err) == agent.CodeNotFound {
		return detected(root)
	}
	if err != nil {
		return nil, err
	}
	return project.Components(env)
}

// detected is the only component of a project without a file.
func detected(root *os.Root) ([]manifest.Component, error) {
	found, err := manifest.Detect(root.FS())
	if err != nil {
		return nil, err
	}
	c := manifest.Component{Kind: found.Kind, Build: &manifest.Build{Folder: "."}}
	c.Name, c.Port = agent.DefaultComponent, found.Port
	if c.Port != 0 {
		c.Path = "/"
	}
	return []manifest.Component{c}, nil
}

// plan is how the image of a component is made.
type plan struct {
	from       string // for people: the template, or the Dockerfile's path
	folder     string // of the source, on the disk
	dockerfile []byte // nil: file is in the folder
	file       string
	test       string // stage that runs the tests; empty: there are none
	ignore     []string
	warnings   []string
	reports    string // id of the cache mount in which the tests leave their reports
}

// planOf finds out how to build a component. Root is the source.
func planOf(source string, c manifest.Component, request agent.BuildRequest, reports string, options Options) (plan, error) {
	p := plan{folder: filepath.Join(source, filepath.FromSlash(c.Build.Folder))}
	found, err := detectedIn(source, c.Build)
	if err != nil {
		return plan{}, err
	}
	if Template(found.Template) == Dockerfile {
		p.file = c.Build.Dockerfile
		if p.file == "" {
			p.file = found.Dockerfile
		}
		if p.file == "" {
			return plan{}, agent.Errorf(agent.CodeInvalid, "name it: dockerfile: PATH, or leave the template out", "there is no Dockerfile in the folder %q", c.Build.Folder)
		}
		p.from, p.reports = path.Join(c.Build.Folder, p.file), reportsMount
		if p.file == found.Dockerfile { // another one has stages of its own
			p.test = found.TestTarget
		}
		if c.Test != nil && c.Test.Target != "" {
			p.test = c.Test.Target
		}
		if c.Test != nil && len(c.Test.Command) > 0 || len(request.TestCommand) > 0 {
			p.warnings = append(p.warnings, "the test command is not run: a Dockerfile runs tests in a stage of its own, test: {target: test}")
		}
		return p, nil
	}
	s := sourceOf(c, found, request)
	if s.Reports != "" {
		s.ReportsMount = reports
	}
	recipe, err := NewRecipe(s, options)
	if err != nil {
		return plan{}, err
	}
	p.dockerfile, p.ignore, p.warnings = recipe.Dockerfile, recipe.Ignore, recipe.Warnings
	p.from, p.reports = string(found.Template), reports
	if recipe.Test {
		p.test = StageTest
	}
	return p, nil
}

// detectedIn is what is in the folder of a build: as the file says where it
// does, else what is found.
func detectedIn(source string, b *manifest.Build) (manifest.Detection, error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return manifest.Detection{}, fmt.Errorf("opening a source: %w", err)
	}
	defer func() { _ = root.Close() }()
	folder, err := root.OpenRoot(filepath.FromSlash(b.Folder)) // no link leads out of the source
	if err != nil {
		return manifest.Detection{}, agent.Errorf(agent.CodeInvalid, "correct the path", "the folder %q can't be opened: %w", b.Folder, err)
	}
	defer func() { _ = folder.Close() }()
	switch {
	case b.Template != "":
		return manifest.DetectAs(folder.FS(), b.Template)
	case b.Dockerfile != "":
		return manifest.DetectAs(folder.FS(), manifest.TemplateDockerfile)
	}
	return manifest.Detect(folder.FS())
}

// sourceOf puts what was found, and what the file says, in the terms of a
// template.
func sourceOf(c manifest.Component, found manifest.Detection, request agent.BuildRequest) Source {
	s := Source{
		Template: Template(found.Template), PackageManager: found.PackageManager, LockFile: found.LockFile, BuildScript: found.BuildScript,
		Output: found.Output, GoMain: found.GoMain, PythonEntry: found.PythonEntry, Requirements: found.Requirements,
		StartCommand: found.StartCommand, TestCommand: found.TestCommand, Port: c.Port,
	}
	if c.Test != nil && len(c.Test.Command) > 0 {
		s.TestCommand = c.Test.Command
	}
	if len(request.TestCommand) > 0 {
		s.TestCommand = request.TestCommand
	}
	s.Args = slices.Sorted(maps.Keys(argsOf(c, request))) // always the same Dockerfile, for the cache
	s.Secrets = slices.Sorted(maps.Keys(request.Secrets))
	s.Reports = request.Reports
	return s
}

// argsOf are the build arguments of a component: the project's, and over them
// those that were asked for.
func argsOf(c manifest.Component, request agent.BuildRequest) map[string]string {
	args := maps.Clone(c.Build.Args)
	if args == nil {
		args = map[string]string{}
	}
	maps.Copy(args, request.Args)
	return args
}

// deployOf is the release that the components ask for, without the images
// that are still to be made.
func deployOf(components []manifest.Component, request agent.BuildRequest) agent.Deploy {
	deploy := agent.Deploy{Env: request.Env, Patch: request.Patch, Replicas: map[string]agent.Scale{}}
	for _, c := range components {
		deploy.Components = append(deploy.Components, c.Component)
		if c.Replicas != (agent.Scale{}) {
			deploy.Replicas[c.Name] = c.Replicas
		}
	}
	maps.Copy(deploy.Replicas, request.Replicas)
	return deploy
}
