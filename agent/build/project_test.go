package build

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

const twoComponents = `app: shop
components:
  api:
    build: ./api
    port: 8080
    route: /api
  web:
    image: nginx:1
    port: 80
environments:
  production:
    components:
      api: {replicas: 3}
`

func TestReadProject(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		env   agent.Environment
		want  []string // NAME FOLDER-OR-IMAGE
		code  agent.Code
		says  string
	}{
		"hks.yaml":          {files: map[string]string{"hks.yaml": twoComponents, "api/Dockerfile": "FROM scratch"}, want: []string{"api ./api", "web nginx:1"}},
		"of an environment": {files: map[string]string{"hks.yaml": twoComponents, "api/go.mod": ""}, env: agent.Production, want: []string{"api ./api", "web nginx:1"}},
		"none: found":       {files: map[string]string{"index.html": "<h1>"}, want: []string{"app ."}},
		"none, none found":  {files: map[string]string{"README": "hello"}, code: agent.CodeNotFound, says: "nothing here can be built"},
		"wrong":             {files: map[string]string{"hks.yaml": "app: shop\ncomponents:\n  api: {prot: 80}\n"}, code: agent.CodeInvalid, says: "hks.yaml:3"},
		"no such folder":    {files: map[string]string{"hks.yaml": twoComponents}, code: agent.CodeInvalid, says: `no folder "api"`},
		"folder leads out":  {files: map[string]string{"hks.yaml": twoComponents, "api": "-> /etc"}, code: agent.CodeInvalid, says: `no folder "api"`},
		"file leads out":    {files: map[string]string{"hks.yaml": "-> /etc/passwd"}, code: agent.CodeNotFound, says: "nothing here can be built"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.env == "" {
				test.env = agent.Staging
			}
			components, err := readProject(folder(t, test.files), test.env)
			if test.code != "" {
				if e, ok := errors.AsType[*agent.Error](err); !ok || e.Code != test.code || !strings.Contains(e.Message, test.says) {
					t.Errorf("got %v, want %s about %q", err, test.code, test.says)
				}
				return
			}
			var got []string
			for _, c := range components {
				if c.Build != nil {
					got = append(got, c.Name+" ./"+c.Build.Folder)
				} else {
					got = append(got, c.Name+" "+c.Image)
				}
				if want := map[bool]agent.Scale{true: agent.Fixed(3)}[test.env == agent.Production && c.Name == "api"]; c.Replicas != want {
					t.Errorf("%s has %v replicas, want %v", c.Name, c.Replicas, want)
				}
			}
			for i := range got {
				got[i] = strings.Replace(got[i], "./.", ".", 1)
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestADetectedComponentIsReachedWhereItListens(t *testing.T) {
	components, err := readProject(folder(t, map[string]string{"Dockerfile": "FROM scratch\nEXPOSE 9000\n"}), agent.Staging)
	if err != nil || len(components) != 1 || components[0].Port != 9000 || components[0].Path != "/" {
		t.Errorf("%+v, %v", components, err)
	}
}

func TestPlanOf(t *testing.T) {
	node := `{"scripts":{"start":"node server.js","test":"node --test"},"dependencies":{"express":"5"}}`
	react := `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"7","react":"19"}}`
	staged := "FROM scratch AS test\nFROM scratch\nEXPOSE 8080\n"
	tests := map[string]struct {
		files   map[string]string
		build   manifest.Build
		test    *manifest.Test
		from    string
		file    string   // of the folder
		stage   string   // that tests
		recipe  []string // what the Dockerfile has
		warning string
		says    string // the error
	}{
		"dockerfile":                {files: map[string]string{"Dockerfile": "FROM scratch\n"}, from: "Dockerfile", file: "Dockerfile"},
		"containerfile":             {files: map[string]string{"Containerfile": "FROM scratch\n"}, from: "Containerfile", file: "Containerfile"},
		"with a test stage":         {files: map[string]string{"Dockerfile": staged}, from: "Dockerfile", file: "Dockerfile", stage: "test"},
		"the file names the stage":  {files: map[string]string{"Dockerfile": staged}, test: &manifest.Test{Target: "checks"}, from: "Dockerfile", file: "Dockerfile", stage: "checks"},
		"dockerfile given":          {files: map[string]string{"docker/prod": "FROM scratch\n", "package.json": node}, build: manifest.Build{Dockerfile: "docker/prod"}, from: "docker/prod", file: "docker/prod"},
		"the stages of another one": {files: map[string]string{"prod": "FROM scratch\n", "Dockerfile": staged}, build: manifest.Build{Dockerfile: "prod"}, from: "prod", file: "prod"},
		"a command for one":         {files: map[string]string{"Dockerfile": "FROM scratch\n"}, test: &manifest.Test{Command: []string{"make", "test"}}, from: "Dockerfile", file: "Dockerfile", warning: "the test command is not run"},
		"template dockerfile":       {files: map[string]string{"Dockerfile": "FROM scratch\n", "go.mod": "module m\n"}, build: manifest.Build{Template: manifest.TemplateDockerfile}, from: "Dockerfile", file: "Dockerfile"},
		"and there is none":         {files: map[string]string{"package.json": node}, build: manifest.Build{Template: manifest.TemplateDockerfile}, says: "there is no Dockerfile"},
		"nodejs":                    {files: map[string]string{"package.json": node}, from: "nodejs", stage: StageTest, recipe: []string{"FROM node:24-slim", "server.js"}, warning: "no lock file"},
		"nodejs, another test":      {files: map[string]string{"package.json": node, "package-lock.json": "{}"}, test: &manifest.Test{Command: []string{"npm", "run", "unit"}}, from: "nodejs", stage: StageTest, recipe: []string{`"npm", "run", "unit"`}},
		"nodejs-react":              {files: map[string]string{"package.json": react, "package-lock.json": "{}"}, from: "nodejs-react", recipe: []string{"FROM node:24-slim", "nginx"}},
		"go":                        {files: map[string]string{"go.mod": "module m\n", "main.go": "package main\n"}, from: "go", recipe: []string{"FROM golang:1.26"}},
		"python":                    {files: map[string]string{"main.py": "print(1)\n", "requirements.txt": "flask\n"}, from: "python", recipe: []string{"FROM python:3.13-slim"}},
		"static":                    {files: map[string]string{"index.html": "<h1>"}, from: "static", recipe: []string{"nginx"}},
		"template over Dockerfile":  {files: map[string]string{"Dockerfile": staged, "package.json": node, "yarn.lock": ""}, build: manifest.Build{Template: manifest.TemplateNode}, from: "nodejs", stage: StageTest, recipe: []string{"yarn"}},
		"template over another":     {files: map[string]string{"package.json": node, "index.html": "<h1>"}, build: manifest.Build{Template: manifest.TemplateStatic}, from: "static", recipe: []string{"nginx"}},
		"template of little":        {files: map[string]string{"tool": "x"}, build: manifest.Build{Template: manifest.TemplatePython}, from: "python", recipe: []string{"app.py"}},
		"arguments":                 {files: map[string]string{"package.json": react, "package-lock.json": "{}"}, build: manifest.Build{Args: map[string]string{"VITE_B": "1", "VITE_A": "2", "VITE_C": "3"}}, from: "nodejs-react", recipe: []string{"VITE_A", "VITE_B", "VITE_C"}},
		"nothing":                   {files: map[string]string{"README": "x"}, says: "nothing here can be built"},
		"damaged":                   {files: map[string]string{"package.json": "{"}, build: manifest.Build{Template: manifest.TemplateNode}, says: "package.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.build.Folder = "."
			p, err := planOf(folder(t, test.files), manifest.Component{Build: &test.build, Test: test.test}, agent.BuildRequest{}, "", Options{Images: PublicImages()})
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v, want it to say %q", err, test.says)
				}
				return
			}
			if err != nil || p.from != test.from || p.file != test.file || p.test != test.stage {
				t.Errorf("from %q file %q test %q, %v", p.from, p.file, p.test, err)
			}
			at := 0
			for _, part := range test.recipe {
				i := strings.Index(string(p.dockerfile)[at:], part)
				if i < 0 {
					t.Fatalf("the Dockerfile has no %s where it belongs:\n%s", part, p.dockerfile)
				}
				at += i
			}
			if (test.file == "") != (p.dockerfile != nil) {
				t.Errorf("Dockerfile written: %q", p.dockerfile)
			}
			if warnings := strings.Join(p.warnings, "; "); !strings.Contains(warnings, test.warning) || test.warning == "" && warnings != "" {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

func TestThePlanOfAFolderStaysInTheSource(t *testing.T) {
	source := folder(t, map[string]string{"out": "-> /etc", "in": "-> api", "api/index.html": "<h1>"})
	if p, err := planOf(source, manifest.Component{Build: &manifest.Build{Folder: "in"}}, agent.BuildRequest{}, "", Options{Images: PublicImages()}); err != nil || p.from != "static" {
		t.Errorf("a link within: %+v, %v", p, err)
	}
	if _, err := planOf(source, manifest.Component{Build: &manifest.Build{Folder: "out", Template: manifest.TemplateStatic}}, agent.BuildRequest{}, "", Options{Images: PublicImages()}); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("a link out: %v", err)
	}
}
