package build

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"hks.dev/hks/agent"
)

// parsed reads a Dockerfile as BuildKit does.
func parsed(t *testing.T, dockerfile []byte) []instructions.Stage {
	t.Helper()
	tree, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		t.Fatalf("%v\n%s", err, dockerfile)
	}
	if len(tree.Warnings) > 0 {
		t.Errorf("warnings: %+v\n%s", tree.Warnings, dockerfile)
	}
	stages, _, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, dockerfile)
	}
	return stages
}

func written(t *testing.T, source Source, options Options) Recipe {
	t.Helper()
	recipe, err := NewRecipe(source, options)
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

// find returns a stage's instructions of one kind.
func find[T any](stages []instructions.Stage, stage string) []T {
	var found []T
	for _, s := range stages {
		for _, command := range s.Commands {
			if c, ok := command.(T); ok && s.Name == stage {
				found = append(found, c)
			}
		}
	}
	return found
}

// sources has one of each shape that a template takes.
var sources = map[string]Source{
	"npm":             {Template: NodeJS, LockFile: "package-lock.json", BuildScript: "build:all", Port: 3000, Args: []string{"API_URL"}},
	"npm, no lock":    {Template: NodeJS},
	"pnpm":            {Template: NodeJS, PackageManager: "pnpm", LockFile: "pnpm-lock.yaml"},
	"pnpm, no lock":   {Template: NodeJS, PackageManager: "pnpm"},
	"yarn":            {Template: NodeJS, PackageManager: "yarn", LockFile: "yarn.lock"},
	"react":           {Template: NodeJSReact, LockFile: "package-lock.json", BuildScript: "build", Output: "build/client", Args: []string{"VITE_API"}, Port: 8080},
	"static":          {Template: Static, Output: "public"},
	"go":              {Template: Go, GoMain: "./cmd/web", Port: 8080},
	"go, least":       {Template: Go},
	"python":          {Template: Python, Requirements: "requirements.txt", Port: 8000},
	"python, project": {Template: Python, Requirements: "pyproject.toml"},
	"python, least":   {Template: Python},
}

func TestRecipes(t *testing.T) {
	for name, source := range sources {
		for images, options := range map[string]Options{
			"own": {Images: OwnImages(), CA: true}, "public": {Images: PublicImages()}, "own, cache": {Images: OwnImages(), Cache: "fork-12"},
		} {
			t.Run(name+"/"+images, func(t *testing.T) {
				source.TestCommand = []string{"run", "tests"}
				recipe := written(t, source, options)
				stages := parsed(t, recipe.Dockerfile)
				if last := stages[len(stages)-1]; last.Name != StageRuntime {
					t.Errorf("the last stage is %q", last.Name)
				}
				if recipe.Test != slices.ContainsFunc(stages, func(s instructions.Stage) bool { return s.Name == StageTest }) {
					t.Errorf("Test is %v, which the stages are not of", recipe.Test)
				}
				if recipe.Test != (source.Template != Static) {
					t.Errorf("Test is %v", recipe.Test)
				}
				users := find[*instructions.UserCommand](stages, StageRuntime)
				served := source.Template == Static || source.Template == NodeJSReact // the image has its own user
				if !served && (len(users) != 1 || users[0].User != "10001:10001") {
					t.Errorf("the runtime's users are %v", users)
				}
				text := string(recipe.Dockerfile)
				fetches := source.Template != Static && (source.Template != Python || source.Requirements != "")
				if got := strings.Contains(text, "type=secret,id=ca"); got != (options.CA && fetches) {
					t.Errorf("the secret is used: %v:\n%s", got, text)
				}
				if options.Cache != "" && strings.Contains(text, "id=hks-") {
					t.Errorf("a cache of others is used:\n%s", text)
				}
				for _, run := range allRuns(stages) {
					if run.PrependShell {
						t.Errorf("a shell is started: %s", run)
					}
				}
			})
		}
	}
}

func allRuns(stages []instructions.Stage) []*instructions.RunCommand {
	var runs []*instructions.RunCommand
	for _, stage := range stages {
		runs = append(runs, find[*instructions.RunCommand]([]instructions.Stage{stage}, stage.Name)...)
	}
	return runs
}

func TestMissingLockFileIsToldOf(t *testing.T) {
	for name, want := range map[string]bool{"npm": false, "npm, no lock": true, "pnpm, no lock": true, "yarn": false, "go": false, "static": false} {
		recipe := written(t, sources[name], Options{Images: OwnImages()})
		if got := len(recipe.Warnings) == 1 && strings.Contains(recipe.Warnings[0], "lock file"); got != want {
			t.Errorf("%s: warnings %q", name, recipe.Warnings)
		}
		if install := strings.Contains(string(recipe.Dockerfile), `"npm", "install"`); name == "npm, no lock" && !install {
			t.Errorf("without a lock file npm ci fails:\n%s", recipe.Dockerfile)
		}
	}
}

// nasty are words that would break out of a Dockerfile or a shell if they were
// put there as they are.
var nasty = []string{
	"a\nRUN touch /owned\n", "\r\nUSER root\r\n", `"]` + "\n" + `USER root`, `\`, `a \`, "`touch /owned`", "$(touch /owned)", "${PATH}", "$PATH",
	"'", `"`, `", "sh", "-c", "touch /owned`, "<<EOF", "2<<-'EOF'", "EOF", "# syntax=evil/frontend", "--mount=type=secret,id=other", "{{.Images}}",
	"a;b", "a && b", "*", "日本語 😀", "\u2028", "\x1b[2J", "--", "", "\t",
}

func TestHostileCommandsStayWords(t *testing.T) {
	for name, source := range sources {
		plain := source
		plain.StartCommand, plain.TestCommand = []string{"start"}, []string{"test"}
		wantShape := shape(parsed(t, written(t, plain, Options{Images: OwnImages(), CA: true}).Dockerfile))
		for _, word := range nasty {
			t.Run(name, func(t *testing.T) {
				source.StartCommand, source.TestCommand = []string{"start", word}, []string{"test", word}
				recipe := written(t, source, Options{Images: OwnImages(), CA: true})
				stages := parsed(t, recipe.Dockerfile)
				if got := shape(stages); !slices.Equal(got, wantShape) {
					t.Fatalf("%q changes the Dockerfile:\n%s", word, recipe.Dockerfile)
				}
				if recipe.Test {
					runs := find[*instructions.RunCommand](stages, StageTest)
					if got := runs[len(runs)-1].CmdLine; !slices.Equal(got[len(got)-2:], source.TestCommand) {
						t.Errorf("the test command is %q", got)
					}
				}
				if source.Template == Static || source.Template == NodeJSReact {
					return // nginx is started
				}
				if got := find[*instructions.CmdCommand](stages, StageRuntime); len(got) != 1 || !slices.Equal(got[0].CmdLine, source.StartCommand) {
					t.Errorf("the start command is %q", got)
				}
			})
		}
	}
}

// shape is what a Dockerfile does, but for the words of commands.
func shape(stages []instructions.Stage) []string {
	var names []string
	for _, stage := range stages {
		names = append(names, "FROM "+stage.BaseName+" AS "+stage.Name)
		for _, command := range stage.Commands {
			names = append(names, command.Name())
			if run, ok := command.(*instructions.RunCommand); ok {
				names = append(names, run.FlagsUsed...)
			}
		}
	}
	return names
}

func TestHostileFactsAreRefused(t *testing.T) {
	set := map[string]func(*Source, string){
		"template":       func(s *Source, v string) { s.Template = Template(v) },
		"packageManager": func(s *Source, v string) { s.Template, s.PackageManager = NodeJS, v },
		"lockFile":       func(s *Source, v string) { s.Template, s.LockFile = NodeJS, v },
		"buildScript":    func(s *Source, v string) { s.Template, s.BuildScript = NodeJS, v },
		"output":         func(s *Source, v string) { s.Template, s.Output = NodeJSReact, v },
		"goMain":         func(s *Source, v string) { s.Template, s.GoMain = Go, v },
		"pythonEntry":    func(s *Source, v string) { s.Template, s.PythonEntry = Python, v },
		"requirements":   func(s *Source, v string) { s.Template, s.Requirements = Python, v },
		"args":           func(s *Source, v string) { s.Template, s.Args = Go, []string{v} },
	}
	paths := []string{"../up", "a/../../b", "/etc/passwd", "-flag", "a b", "a//b", "..", strings.Repeat("a", maxPath+1)}
	for field, change := range set {
		for _, value := range append(append([]string{}, nasty...), paths...) {
			var source Source
			change(&source, value)
			if harmless(field, value) {
				continue
			}
			if recipe, err := NewRecipe(source, Options{Images: OwnImages()}); agent.CodeOf(err) != agent.CodeInvalid {
				t.Errorf("%s %q: got %v\n%s", field, value, err, recipe.Dockerfile)
			}
		}
	}
}

// harmless says whether a nasty word is an honest value of the field.
func harmless(field, value string) bool {
	switch field {
	case "template", "packageManager", "lockFile":
		return value == "" && field != "template"
	case "args":
		return agent.ValidateEnvName(value) == nil
	}
	return value == "" || value == "EOF"
}

func TestCommandsAreBounded(t *testing.T) {
	for name, words := range map[string][]string{
		"many": slices.Repeat([]string{"a"}, maxWords+1), "long": {strings.Repeat("a", maxWord+1)}, "nul": {"a\x00"}, "empty": {""},
	} {
		if _, err := NewRecipe(Source{Template: Go, StartCommand: words}, Options{Images: OwnImages()}); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
