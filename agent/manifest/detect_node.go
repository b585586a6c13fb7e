package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hks.dev/hks/agent"
)

// packageJSON is the part of package.json that matters here. Anything may
// stand in a repository, so that each value is looked at when it is used.
type packageJSON struct {
	Main            any            `json:"main"`
	Scripts         map[string]any `json:"scripts"`
	Dependencies    map[string]any `json:"dependencies"`
	DevDependencies map[string]any `json:"devDependencies"`
	PackageManager  any            `json:"packageManager"`
	Engines         any            `json:"engines"`
	Workspaces      any            `json:"workspaces"`
}

func (p *packageJSON) script(name string) string {
	text, _ := p.Scripts[name].(string)
	return strings.TrimSpace(text)
}

func (p *packageJSON) dependsOn(name string) bool {
	_, a := p.Dependencies[name]
	_, b := p.DevDependencies[name]
	return a || b
}

var servers = []string{
	"express", "fastify", "koa", "@hapi/hapi", "@nestjs/core", "hono", "restify", "polka", "@hono/node-server", "socket.io", "@astrojs/node", "@feathersjs/feathers",
}

var lockFiles = []struct{ file, manager string }{
	{"pnpm-lock.yaml", "pnpm"}, {"yarn.lock", "yarn"}, {"package-lock.json", "npm"}, {"npm-shrinkwrap.json", "npm"},
}

var npmDefault = lazily(`no test specified`)

func detectNode(f folder) (*Detection, error) {
	text, ok, err := f.read("package.json")
	if !ok || err != nil {
		return nil, err
	}
	var p packageJSON
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, damagedJSON("package.json", text, err)
	}
	d := &Detection{Template: TemplateNode, Kind: KindBackend}
	d.found("package.json: a Node.js package")
	d.packageManager(f, &p)
	if engines, ok := p.Engines.(map[string]any); ok {
		if version, ok := engines["node"].(string); ok {
			d.Version = oneLine(version, maxShown)
		}
	}
	if p.script("build") != "" {
		d.BuildScript = "build"
	}
	if test := p.script("test"); test != "" && !npmDefault().MatchString(test) {
		d.TestCommand = []string{d.PackageManager, "test"}
		d.found("package.json: test script %q", test)
	}
	if d.bundled(f, &p) {
		return d, nil
	}
	d.started(f, &p)
	if p.Workspaces != nil || f.has("pnpm-workspace.yaml") {
		d.coordinates = true
		d.found("package.json: a workspace of several packages")
	}
	if len(d.StartCommand) == 0 && d.BuildScript == "" && !d.coordinates {
		return nil, nil // it only lists tools, or is a library
	}
	d.nodePort(f, &p)
	return d, nil
}

// packageManager is the one that wrote the lock file.
func (d *Detection) packageManager(f folder, p *packageJSON) {
	asked, _ := p.PackageManager.(string)
	asked, _, _ = strings.Cut(asked, "@")
	for _, lock := range lockFiles {
		if f.has(lock.file) && (d.LockFile == "" || lock.manager == asked && d.PackageManager != asked) {
			d.LockFile, d.PackageManager = lock.file, lock.manager
		}
	}
	switch {
	case d.LockFile != "":
		d.found("%s: packages by %s", d.LockFile, d.PackageManager)
	case asked == "pnpm" || asked == "yarn":
		d.PackageManager = asked
		d.found("package.json asks for %s; there is no lock file, so that versions are not pinned", asked)
	default:
		d.PackageManager = "npm"
		d.found("no lock file of npm, pnpm or yarn: versions are not pinned")
	}
}

func damagedJSON(name, text string, err error) error {
	where := name
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		where = fmt.Sprintf("%s:%d", name, 1+strings.Count(text[:min(int(e.Offset), len(text))], "\n"))
	}
	return agent.Errorf(agent.CodeInvalid, "correct the file", "%s is not valid: %w", where, err)
}
