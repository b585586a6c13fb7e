package build

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// Template is a kind of source.
type Template string

// The templates. Dockerfile is source that brings its own.
const (
	Dockerfile  Template = "dockerfile"
	NodeJS      Template = "nodejs"
	NodeJSReact Template = "nodejs-react" // built with Node.js, then served as files
	Static      Template = "static"       // files as they are
	Go          Template = "go"
	Python      Template = "python"
)

// Source is what a Dockerfile needs to know of a folder. All of it may come
// from a hostile repository. Paths are relative to the folder.
type Source struct {
	Template       Template
	PackageManager string   // of Node.js: npm, pnpm or yarn; default npm
	LockFile       string   // its name; empty: there is none
	BuildScript    string   // name of the script in package.json; empty: there is none
	Output         string   // folder that is served; nodejs-react: of the built files, default dist
	GoMain         string   // package to build, as "./cmd/web"; default "."
	PythonEntry    string   // file that is run without a StartCommand; default app.py
	Requirements   string   // requirements.txt, or pyproject.toml; empty: there are none
	StartCommand   []string // argv; empty: the template's own
	TestCommand    []string // argv; empty: there is no stage test
	Args           []string // names of the build arguments that the build script and the tests see
	Secrets        []string // names of the secrets that steps see as variables
	Reports        string   // folder in which the tests leave their reports; empty: they leave none
	ReportsMount   string   // id of the cache mount that the folder is
	Port           int      // 0: nothing listens
}

// Bounds of commands: these are arguments of one process.
const (
	maxWords  = 64
	maxWord   = 4096 // bytes
	maxScript = 64   // bytes
	maxPath   = 512  // bytes
)

var (
	// What a path of a Dockerfile may have. Variables are expanded in it and
	// patterns matched, so it is not enough to quote the rest.
	pathGrammar   = regexp.MustCompile(`^[A-Za-z0-9_@.+][A-Za-z0-9_@.+/-]*$`)
	scriptGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:-]*$`)
)

// lockFiles are the names of lock files, by package manager.
var lockFiles = map[string][]string{
	"npm":  {"package-lock.json", "npm-shrinkwrap.json"},
	"pnpm": {"pnpm-lock.yaml"},
	"yarn": {"yarn.lock"},
}

// complete fills in defaults and refuses what has no place in a Dockerfile.
func (s Source) complete() (Source, error) {
	switch s.Template {
	case NodeJS, NodeJSReact:
		if s.PackageManager == "" {
			s.PackageManager = "npm"
		}
		locks, ok := lockFiles[s.PackageManager]
		if !ok {
			return s, refused("packageManager", s.PackageManager, "the package manager %s is not one of npm, pnpm and yarn")
		}
		if s.LockFile != "" && !slices.Contains(locks, s.LockFile) {
			return s, refused("lockFile", s.LockFile, "%s is no lock file of "+s.PackageManager)
		}
	case Static, Go, Python:
	default:
		return s, refused("template", string(s.Template), "there is no template %s")
	}
	s.Output = orElse(s.Output, map[Template]string{NodeJSReact: "dist", Static: "."}[s.Template])
	s.GoMain = orElse(s.GoMain, ".")
	s.PythonEntry = orElse(s.PythonEntry, "app.py")
	for field, value := range map[string]string{
		"output": s.Output, "goMain": strings.TrimPrefix(s.GoMain, "./"), "pythonEntry": s.PythonEntry, "requirements": s.Requirements, "reports": s.Reports,
	} {
		if value != "" && !validPath(value) {
			return s, refused(field, value, "%s is not a path that can be built: it has letters, digits and . _ @ + - /, and stays in the folder")
		}
	}
	if s.BuildScript != "" && (len(s.BuildScript) > maxScript || !scriptGrammar.MatchString(s.BuildScript)) {
		return s, refused("buildScript", s.BuildScript, "%s is not a name of a script")
	}
	if s.Template == NodeJSReact && s.BuildScript == "" {
		s.BuildScript = "build"
	}
	for field, words := range map[string][]string{"command": s.StartCommand, "test": s.TestCommand} {
		if err := validCommand(field, words); err != nil {
			return s, err
		}
	}
	for _, name := range slices.Concat(s.Args, s.Secrets) {
		if err := agent.ValidateEnvName(name); err != nil {
			return s, err
		}
	}
	if s.Port != 0 {
		if err := agent.ValidatePort(s.Port); err != nil {
			return s, err
		}
	}
	return s, nil
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func validPath(p string) bool {
	return len(p) <= maxPath && pathGrammar.MatchString(p) && path.Clean(p) == strings.TrimSuffix(p, "/") &&
		p != ".." && !strings.HasPrefix(p, "../")
}

func validCommand(field string, words []string) error {
	if len(words) > maxWords {
		return refused(field, strings.Join(words[:maxWords], " "), fmt.Sprintf("a command has up to %d words; this has more: %%s", maxWords))
	}
	for i, word := range words {
		if len(word) > maxWord || strings.ContainsRune(word, 0) || i == 0 && word == "" {
			return refused(field, word, "a command can't have the word %s")
		}
	}
	return nil
}

// refused shows a hostile value quoted and cut.
func refused(field, value, format string) error {
	if len(value) > 100 {
		value = value[:100] + "…"
	}
	value = strings.ToValidUTF8(value, "?")
	return &agent.Error{
		Code:    agent.CodeInvalid,
		Message: fmt.Sprintf(format, fmt.Sprintf("%q", value)),
		Fix:     "change it, or add a Dockerfile that builds the folder",
		Details: map[string]any{"field": field, "value": value},
	}
}
