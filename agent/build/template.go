package build

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"text/template"
	"unicode/utf16"

	"hks.dev/hks/agent"
)

//go:embed templates
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"argv": argv}).ParseFS(files, "templates/*"))

// Images are the base images of the templates.
type Images struct {
	Base, Node, Python, Go, Static string // references

	own bool // pnpm and tini are in them
}

// OwnImages are those that the appliance carries in its registry.
func OwnImages() Images {
	const prefix = agent.RegistryHost + "/hks/"
	return Images{
		Base: prefix + "base:13", Node: prefix + "node:24", Python: prefix + "python:3.13", Go: prefix + "go:1.26", Static: prefix + "static:1",
		own: true,
	}
}

// PublicImages are their equivalents for machines with a way to Docker Hub.
func PublicImages() Images {
	return Images{
		Base: "debian:13-slim", Node: "node:24-slim", Python: "python:3.13-slim", Go: "golang:1.26", Static: "nginxinc/nginx-unprivileged:stable",
	}
}

// Options are what the appliance decides about a build.
type Options struct {
	Images Images
	CA     bool   // certificates are offered to steps as the secret SecretCA
	Cache  string // whose package caches are used, a name; builds that may not trust each other have different ones; default hks
}

// SecretCA is the id of the build secret that holds certificates in PEM.
const SecretCA = "ca"

// secretPrefix begins the ids of the owner's secrets, which can't be taken for
// the appliance's own.
const secretPrefix = "env."

// Stages of the Dockerfiles.
const (
	StageTest    = "test" // runs the tests; only where there is a test command
	StageRuntime = "runtime"
)

// Recipe is a Dockerfile for a folder that has none.
type Recipe struct {
	Dockerfile []byte
	Ignore     []string // patterns for folders without a .dockerignore of their own
	Test       bool     // it has the stage test
	Warnings   []string // sentences for whoever builds it
}

// recipe is what the templates see. Everything in it that comes from the
// source was checked by complete or is written by argv.
type recipe struct {
	Source
	Options
}

// NewRecipe writes the Dockerfile for the source. Its error is an agent.Error
// of code INVALID: a fact has no place in a Dockerfile.
func NewRecipe(source Source, options Options) (Recipe, error) {
	source, err := source.complete()
	if err != nil {
		return Recipe{}, err
	}
	options.Cache = orElse(options.Cache, "hks")
	if err := agent.ValidateName("cache", options.Cache); err != nil {
		return Recipe{}, err
	}
	var warnings []string
	if source.Template == Static && len(source.TestCommand) > 0 {
		source.TestCommand = nil
		warnings = append(warnings, "the test command is not run: files that are served as they are have nothing to run it")
	}
	var text bytes.Buffer
	r := recipe{Source: source, Options: options}
	if err := templates.ExecuteTemplate(&text, string(source.Template)+".Dockerfile", r); err != nil {
		return Recipe{}, fmt.Errorf("writing a Dockerfile: %w", err)
	}
	if source.node() && source.LockFile == "" {
		warnings = append(warnings, fmt.Sprintf("there is no lock file, so each build takes the newest versions: run %s install and commit %s",
			source.PackageManager, lockFiles[source.PackageManager][0]))
	}
	return Recipe{Dockerfile: text.Bytes(), Ignore: ignoresOf(source.Template), Test: len(source.TestCommand) > 0, Warnings: warnings}, nil
}

func (s Source) node() bool { return s.Template == NodeJS || s.Template == NodeJSReact }

// Trust are the flags of a RUN that give it the certificates, if there are any.
// and the secrets as variables: they are in no layer of the image.
func (r recipe) Trust() string {
	flags := r.Secret()
	if r.CA {
		flags = "--mount=type=secret,id=" + SecretCA + " " + flags
	}
	return flags
}

// Secret are the flags of a RUN that give it the secrets.
func (r recipe) Secret() string {
	var flags strings.Builder
	for _, name := range r.Secrets {
		flags.WriteString("--mount=type=secret,id=" + secretPrefix + name + ",env=" + name + " ")
	}
	return flags.String()
}

// Kept is the flag of a RUN that keeps the reports of the tests, also of those
// that fail.
func (r recipe) Kept() string {
	if r.Reports == "" {
		return ""
	}
	return "--mount=type=cache,id=" + r.ReportsMount + ",target=" + r.Reports + " "
}

// Env begins the argv of a step that uses the network: the variables by which
// the template's tools are told of the certificates, and those given.
func (r recipe) Env(variables ...string) []string {
	if r.CA {
		for _, name := range trusting[r.Template] {
			variables = append(variables, name+"=/run/secrets/"+SecretCA)
		}
	}
	if len(variables) == 0 {
		return nil
	}
	return append([]string{"env"}, variables...)
}

var trusting = map[Template][]string{
	NodeJS:      {"NODE_EXTRA_CA_CERTS", "npm_config_cafile", "YARN_CAFILE"},
	NodeJSReact: {"NODE_EXTRA_CA_CERTS", "npm_config_cafile", "YARN_CAFILE"},
	Go:          {"SSL_CERT_FILE"},
	Python:      {"PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"},
}

// Cached is the flag of a RUN that keeps a folder between builds.
func (r recipe) Cached(name string) string {
	flag := "--mount=type=cache,id=" + r.Cache + "-" + name + ",target=/cache"
	if name == "yarn" {
		flag += ",sharing=locked" // two of it at once spoil it
	}
	return flag + " "
}

// Install is the word that has the package manager take the lock file's
// versions, or the newest where there is none.
func (r recipe) Install() string {
	locked := r.LockFile != ""
	switch {
	case r.PackageManager == "npm" && locked:
		return "ci"
	case r.PackageManager == "npm":
		return "install"
	case locked:
		return "--frozen-lockfile"
	case r.PackageManager == "pnpm":
		return "--no-frozen-lockfile"
	}
	return "--no-lockfile"
}

// Main is the Go package to build.
func (r recipe) Main() string {
	if r.GoMain == "." {
		return "."
	}
	return "./" + strings.TrimPrefix(r.GoMain, "./")
}

// Built is where the build script leaves its files.
func (r recipe) Built() string { return path.Join("/app", r.Output) + "/" }

// FetchPytest says whether the tests need pytest, which requirements seldom name.
func (r recipe) FetchPytest() bool {
	command := r.TestCommand
	return command[0] == "pytest" || len(command) > 2 && command[1] == "-m" && command[2] == "pytest"
}

// Start is the command of the runtime.
func (r recipe) Start() []string {
	if len(r.StartCommand) > 0 {
		return r.StartCommand
	}
	switch r.Template {
	case Go:
		return []string{"/usr/local/bin/app"}
	case Python:
		return []string{"python", r.PythonEntry}
	}
	return []string{r.PackageManager, "start"}
}

// Init says whether the image has an init, without which a process that does
// not handle SIGTERM, being the first of its container, takes no notice of it.
func (r recipe) Init() bool { return r.Images.own }

// FetchPnpm says whether the image lacks pnpm.
func (r recipe) FetchPnpm() bool { return r.PackageManager == "pnpm" && !r.Images.own }

// argv writes a command, or paths, in the JSON form of Dockerfiles, for which
// no shell is started. Everything but plain characters is escaped, so that
// nothing in it means anything to the parser: no line ends, no here-documents,
// no variables.
func argv(lists ...any) (string, error) {
	var words []string
	for _, list := range lists {
		switch list := list.(type) {
		case string:
			words = append(words, list)
		case []string:
			words = append(words, list...)
		default:
			return "", fmt.Errorf("argv of a %T", list)
		}
	}
	var out strings.Builder
	out.WriteByte('[')
	for i, word := range words {
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteByte('"')
		for _, char := range word {
			if plain(char) {
				out.WriteRune(char)
				continue
			}
			for _, unit := range utf16.Encode([]rune{char}) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		}
		out.WriteByte('"')
	}
	out.WriteByte(']')
	if text := out.String(); json.Valid([]byte(text)) {
		return text, nil
	}
	return "", fmt.Errorf("writing %q as JSON", words)
}

func plain(char rune) bool {
	return 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' || '0' <= char && char <= '9' || strings.ContainsRune(" ./_-=:@,+", char)
}
