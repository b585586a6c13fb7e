package manifest

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

var (
	pythonPort = []pattern{
		lazily(`get(?:env)?\(\s*['"]PORT['"]\s*,\s*['"]?(\d{2,5})`),
		lazily(`\bport\s*=\s*(\d{2,5})`),
		lazily(`(?m)^PORT\s*=\s*(\d{2,5})`),
		lazily(`\(\s*['"][^'"\n]{0,60}['"]\s*,\s*(\d{2,5})\s*\)`),
	}
	pythonApp     = lazily(`(?m)^([A-Za-z_]\w{0,60})\s*(?::[^=\n]{1,60})?=\s*(?:\w+\.)?(?:FastAPI|Starlette|Flask)\(`)
	pythonServes  = lazily(`HTTPServer|http\.server|socketserver|aiohttp|tornado|waitress|bottle|uvicorn\.run|wsgiref|\.listen\(|make_server`)
	pythonVersion = lazily(`(?m)^requires-python\s*=\s*['"]([^'"\n]{1,40})['"]`)
	djangoProject = lazily(`DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([A-Za-z_]\w{0,60})\.`)
)

// pythonEntries are the usual files of an application, in their order.
var pythonEntries = []string{
	"main.py", "app.py", "wsgi.py", "asgi.py", "server.py", "app/main.py", "src/main.py", "src/app.py", "app/__init__.py", "api/main.py",
}

// python is what a folder's own files say.
type python struct {
	*Detection
	f            folder
	dependencies string // the text that lists them, in lower case
	module       string // of the entry
	app          string // variable that holds the application
}

func detectPython(f folder) (*Detection, error) {
	d := &Detection{Template: TemplatePython, Kind: KindBackend}
	p := &python{Detection: d, f: f}
	for _, name := range []string{"requirements.txt", "pyproject.toml"} {
		text, ok, err := f.read(name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if d.Requirements == "" {
			d.Requirements = name
			d.found("%s: a Python project", name)
		}
		if m := pythonVersion().FindStringSubmatch(text); m != nil && name == "pyproject.toml" {
			d.Version = m[1]
		}
		p.dependencies += strings.ToLower(text) + "\n"
	}
	p.entry()
	if d.PythonEntry == "" {
		return nil, nil // a library, or settings of a tool
	}
	if d.Requirements == "" {
		d.weak = true
	}
	p.start()
	p.tests()
	return d, nil
}

// entry finds the file that holds the application.
func (p *python) entry() {
	if p.f.has("manage.py") {
		p.PythonEntry = "manage.py"
		p.found("manage.py: a Django project")
		return
	}
	fallback := ""
	for _, name := range pythonEntries {
		if !p.f.has(name) {
			continue
		}
		if m := pythonApp().FindStringSubmatch(p.f.glance(name)); m != nil {
			p.use(name, m[1])
			p.found("%s: the application is in %s", name, m[1])
			return
		}
		if fallback == "" && path.Base(name) != "__init__.py" {
			fallback = name
		}
	}
	if fallback != "" {
		p.use(fallback, "")
		p.found("%s: run as it is", fallback)
	}
}

func (p *python) use(name, app string) {
	p.PythonEntry, p.app = name, app
	p.module = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(name, ".py"), "/__init__"), "/", ".")
}

// start finds the command and the port: a server for many requests where one
// is installed, else the framework's own.
func (p *python) start() {
	const any = "0.0.0.0"
	source := p.f.glance(p.PythonEntry)
	port := portIn(source, pythonPort...)
	serve := func(fallback int, server string, args func(port string) []string) {
		if port == 0 {
			port = fallback
		}
		p.StartCommand = append([]string{"python", "-m", server}, args(strconv.Itoa(port))...)
		p.listens(port, server)
	}
	switch {
	case p.PythonEntry == "manage.py":
		project := ""
		if m := djangoProject().FindStringSubmatch(source); m != nil {
			project = m[1]
		}
		if project != "" && p.needs("gunicorn") {
			serve(8000, "gunicorn", func(port string) []string { return []string{"--bind", any + ":" + port, project + ".wsgi"} })
			return
		}
		p.StartCommand = []string{"python", "manage.py", "runserver", any + ":8000"}
		p.found("no gunicorn in the requirements: Django's server for development is started")
		p.listens(8000, "manage.py")
	case p.app != "" && (p.needs("fastapi") || p.needs("starlette")):
		serve(8000, "uvicorn", func(port string) []string { return []string{p.module + ":" + p.app, "--host", any, "--port", port} })
	case p.app != "" && p.needs("gunicorn"):
		serve(8000, "gunicorn", func(port string) []string { return []string{"--bind", any + ":" + port, p.module + ":" + p.app} })
	case p.app != "" && p.needs("flask"):
		p.found("no gunicorn in the requirements: Flask's server for development is started")
		serve(5000, "flask", func(port string) []string {
			return []string{"--app", p.module + ":" + p.app, "run", "--host", any, "--port", port}
		})
	default:
		p.StartCommand = []string{"python", p.PythonEntry}
		if port == 0 && !pythonServes().MatchString(source) {
			p.Kind = KindWorker
			p.found("nothing in it listens: a worker")
			return
		}
		p.listens(port, p.PythonEntry)
	}
}

// needs tells whether the dependencies name a package.
func (p *python) needs(name string) bool {
	return regexp.MustCompile(`(?m)(^|["'\s])` + name + `($|["'\s\[<>=~!;,])`).MatchString(p.dependencies)
}

// tests finds how they are run: by pytest where it is named, else by Python's
// own runner.
func (p *python) tests() {
	if p.needs("pytest") || strings.Contains(p.dependencies, "[tool.pytest") {
		p.TestCommand = []string{"python", "-m", "pytest"}
		p.found("%s: pytest", p.Requirements)
		return
	}
	for _, dir := range []string{"tests", "test", "."} {
		for _, name := range p.f.files(dir, ".py") {
			if strings.HasPrefix(path.Base(name), "test_") && strings.Contains(p.f.glance(name), "unittest") {
				p.TestCommand = []string{"python", "-m", "unittest", "discover"}
				if dir != "." {
					p.TestCommand = append(p.TestCommand, "-s", dir)
				}
				p.found("%s: tests of unittest", name)
				return
			}
		}
	}
}
