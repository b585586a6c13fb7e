package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
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

// bundlers turn a page's source into files, and where they put them.
var bundlers = []struct{ dependency, output string }{
	{"react-scripts", "build"}, {"vite", "dist"}, {"@vue/cli-service", "dist"}, {"parcel", "dist"}, {"parcel-bundler", "dist"},
	{"astro", "dist"}, {"gatsby", "public"}, {"preact-cli", "build"}, {"@rsbuild/core", "dist"}, {"next", "out"}, {"webpack", "dist"},
}

var servers = []string{
	"express", "fastify", "koa", "@hapi/hapi", "@nestjs/core", "hono", "restify", "polka", "@hono/node-server", "socket.io", "@astrojs/node", "@feathersjs/feathers",
}

var queues = []string{"bullmq", "bull", "bee-queue", "agenda", "amqplib", "kafkajs", "node-cron", "node-schedule", "pg-boss", "graphile-worker"}

var lockFiles = []struct{ file, manager string }{
	{"pnpm-lock.yaml", "pnpm"}, {"yarn.lock", "yarn"}, {"package-lock.json", "npm"}, {"npm-shrinkwrap.json", "npm"},
}

var (
	coordinating = regexp.MustCompile(`\b(concurrently|npm-run-all|run-p|run-s|turbo|lerna|nx)\b|--prefix|--workspace|\s-w\s|--filter|\bcd\s`)
	developing   = regexp.MustCompile(`^(\S*\s)*?(vite(?:\s+(?:dev|serve))?|react-scripts start|next dev|nodemon|ts-node-dev|ng serve|webpack(?:-dev-server| serve)|tsx watch|node --watch|parcel|astro dev|gatsby develop|vue-cli-service serve)(\s|$)`)
	npmDefault   = regexp.MustCompile(`no test specified`)
	outDir       = regexp.MustCompile(`\boutDir\s*:\s*['"` + "`" + `]([^'"` + "`" + `]{1,200})['"` + "`" + `]`)
	staticExport = regexp.MustCompile(`\boutput\s*:\s*['"]export['"]`)
	nodePort     = []*regexp.Regexp{
		regexp.MustCompile(`PORT['"\])]*\s*(?:\|\||\?\?)\s*['"]?(\d{2,5})`),
		regexp.MustCompile(`\.listen\(\s*(?:\{\s*port:\s*)?(\d{2,5})`),
		regexp.MustCompile(`\b[pP](?:ort|ORT)\s*[:=]\s*['"]?(\d{2,5})`),
	}
	scriptPort = regexp.MustCompile(`(?:--port[= ]|\s-p\s*|\bPORT=)(\d{2,5})`)
	nodeServes = regexp.MustCompile(`\.listen\(|createServer\(|\bserve\(`)
)

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
	if test := p.script("test"); test != "" && !npmDefault.MatchString(test) {
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

// bundled tells whether files are built that anything can serve.
func (d *Detection) bundled(f folder, p *packageJSON) bool {
	if d.BuildScript == "" {
		return false
	}
	start := p.script("start")
	for _, server := range servers {
		if _, serves := p.Dependencies[server]; serves && start != "" && !developing.MatchString(start) {
			return false // it serves its own files
		}
	}
	for _, b := range bundlers {
		if !p.dependsOn(b.dependency) {
			continue
		}
		switch {
		case b.dependency == "next" && !exports(f),
			b.dependency == "webpack" && !p.dependsOn("react") && !p.dependsOn("vue") && !p.dependsOn("preact"):
			continue
		case b.dependency == "vite" && p.dependsOn("@sveltejs/kit"):
			if !p.dependsOn("@sveltejs/adapter-static") {
				return false
			}
			b.output = "build"
		}
		d.Template, d.Kind, d.Output, d.Port = TemplateReact, KindFrontend, b.output, assumedPort
		d.found("package.json: built by %s with %q into %s, served as files", b.dependency, p.script("build"), d.Output)
		d.outputFolder(f)
		return true
	}
	return false
}

// exports tells whether Next.js is set to write files.
func exports(f folder) bool {
	return slices.ContainsFunc([]string{"next.config.js", "next.config.mjs", "next.config.ts"}, func(name string) bool {
		return staticExport.MatchString(f.glance(name))
	})
}

// outputFolder takes Vite's own setting, as long as it stays in the folder.
func (d *Detection) outputFolder(f folder) {
	name := f.first("vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts", "vite.config.cjs", "vite.config.cts")
	m := outDir.FindStringSubmatch(f.glance(name))
	if name == "" || m == nil {
		return
	}
	if clean, ok := insidePath(m[1]); ok && clean != "." {
		d.Output = clean
		d.found("%s: outDir is %s", name, clean)
		return
	}
	d.found("%s: outDir %q leaves the folder and is not used", name, m[1])
}

// started finds how it is run for others, not for its author.
func (d *Detection) started(f folder, p *packageJSON) {
	for _, name := range []string{"start:prod", "start"} {
		script := p.script(name)
		switch {
		case script == "":
			continue
		case coordinating.MatchString(script):
			d.coordinates = true
			d.found("package.json: the script %s runs those of other folders", name)
			continue
		case developing.MatchString(script):
			d.found("package.json: the script %s is for development: %q", name, script)
			continue
		}
		d.found("package.json: %s script %q", name, script)
		words, err := split(script)
		switch {
		case err == nil && len(words) > 1 && len(words) <= maxCommandWords && words[0] == "node":
			d.StartCommand = words // without npm in between, which keeps signals to itself
		case name == "start":
			d.StartCommand = []string{d.PackageManager, "start"}
		default:
			d.StartCommand = []string{d.PackageManager, "run", name}
		}
		return
	}
	main, _ := p.Main.(string)
	for _, entry := range []string{main, "server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "src/server.js", "src/index.js", "src/app.js"} {
		if clean, ok := insidePath(entry); ok && f.has(clean) && !d.coordinates && (p.script("start") != "" || listens(f.glance(clean))) {
			d.StartCommand = []string{"node", clean}
			d.found("%s is started with node", clean)
			return
		}
	}
	if d.BuildScript != "" {
		d.found("no way to start it was found: give command")
	}
}

func listens(source string) bool { return nodeServes.MatchString(source) }

// nodePort looks for the port in the scripts, the file that is started and the
// example of its settings; what only works off a queue has none.
func (d *Detection) nodePort(f folder, p *packageJSON) {
	for _, name := range []string{"start:prod", "start"} {
		if port := portIn(p.script(name), scriptPort); port > 0 {
			d.listens(port, "package.json")
			return
		}
	}
	serves := slices.ContainsFunc(servers, p.dependsOn) || p.dependsOn("next")
	candidates := []string{"server.js", "index.js", "app.js", "src/server.js", "src/index.js", "src/app.js", "src/main.ts", "src/index.ts", "src/server.ts", "src/app.ts", "server.ts", "index.ts"}
	for _, word := range d.StartCommand {
		if clean, ok := insidePath(word); ok && f.has(clean) {
			candidates = slices.Insert(candidates, 0, clean)
		}
	}
	for _, name := range candidates {
		source := f.glance(name)
		serves = serves || listens(source)
		if port := portIn(source, nodePort...); port > 0 {
			d.listens(port, name)
			return
		}
	}
	if queue := slices.IndexFunc(queues, p.dependsOn); !serves && queue >= 0 {
		d.Kind = KindWorker
		d.found("package.json: works with %s, and nothing listens", queues[queue])
		return
	}
	d.listens(0, "")
}

func damagedJSON(name, text string, err error) error {
	where := name
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		where = fmt.Sprintf("%s:%d", name, 1+strings.Count(text[:min(int(e.Offset), len(text))], "\n"))
	}
	return agent.Errorf(agent.CodeInvalid, "correct the file", "%s is not valid: %w", where, err)
}
