package manifest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"hks.dev/hks/agent"
)

const (
	express = `{"scripts":{"start":"node server.js","test":"node --test"},"dependencies":{"express":"5"}}`
	vite    = `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"7"}}`
)

// projects are whole repositories, and their components as
// NAME=FOLDER KIND PORT PATH of the drafted file.
var projects = map[string]struct {
	files map[string]string
	want  string
}{
	"one folder":        {map[string]string{"package.json": express}, "app=. backend 8080 /"},
	"one page":          {map[string]string{"index.html": "x"}, "app=. frontend 8080 /"},
	"one worker":        {map[string]string{"go.mod": "module m", "main.go": "package main"}, "app=. worker 0 "},
	"backend, frontend": {map[string]string{"backend/package.json": express, "frontend/package.json": vite}, "backend=backend backend 8080 /api; frontend=frontend frontend 8080 /"},
	"server, client":    {map[string]string{"server/go.mod": "module m", "server/main.go": goServer, "client/index.html": "x"}, "client=client frontend 8080 /; server=server backend 9090 /api"},
	"apps": {
		map[string]string{"package.json": `{"workspaces":["apps/*"],"scripts":{"start":"turbo start"}}`, "package-lock.json": "{}", "apps/api/package.json": express, "apps/web/package.json": vite, "apps/admin/package.json": vite},
		"admin=apps/admin frontend 8080 /; api=apps/api backend 8080 /api; web=apps/web frontend 8080 /web",
	},
	"root and a folder": {map[string]string{"requirements.txt": "flask", "app.py": "app = Flask(1)", "web/package.json": vite}, "backend=. backend 5000 /api; web=web frontend 8080 /"},
	"by name a worker":  {map[string]string{"api/package.json": express, "worker/package.json": `{"scripts":{"start":"node w.js"}}`}, "api=api backend 8080 /; worker=worker worker 0 "},
	"two backends":      {map[string]string{"a/package.json": express, "b/package.json": express}, "a=a backend 8080 /; b=b backend 8080 "},
	"same names":        {map[string]string{"x/api/package.json": express, "y/api/package.json": express}, "api=x/api backend 8080 /; y-api=y/api backend 8080 "},
	"what others wrote": {
		map[string]string{
			"package.json": express, "node_modules/x/package.json": express, ".git/package.json": express, "vendor/package.json": express, "tests/fixtures/package.json": vite,
			"examples/a/package.json": vite, "templates/index.html": "x", "a/b/c/package.json": express,
		}, "app=. backend 8080 /",
	},
	"Dockerfile at the root": {map[string]string{"Dockerfile": "FROM x\nEXPOSE 90\n", "web/package.json": vite}, "app=. backend 90 /"},
	"names that are taken":   {map[string]string{"staging/package.json": express, "123/package.json": vite}, "c1=123 frontend 8080 /; c2=staging backend 8080 /api"},
	"a hostile repository": {
		map[string]string{
			"a: b # c/package.json": strings.ReplaceAll(express, "node server.js", `node \"x\\n\\u2028app: evil\" 'a: b' #`), "new\nline/package.json": express,
			"{x}/package.json": `{"scripts":{"start":"node x\napp: evil\n","test":"a\nb: c"}}`, "{x}/.env.example": "A=1\nB C=2\nPORT=1\nexport D=\n",
		}, "a-b-c=a: b # c backend 8080 /; x={x} backend 8080 ",
	},
}

func TestInit(t *testing.T) {
	for name, tt := range projects {
		t.Run(name, func(t *testing.T) {
			d, err := Init(tree(tt.files), "shop")
			if err != nil {
				t.Fatal(err)
			}
			p := parse(t, string(d.YAML))
			if p.App != "shop" || d.App != "shop" {
				t.Errorf("app = %q", p.App)
			}
			list, err := p.Components(agent.Staging)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range list {
				got = append(got, fmt.Sprintf("%s=%s %s %d %s", c.Name, c.Build.Folder, c.Kind, c.Port, c.Path))
			}
			if got := strings.Join(got, "; "); got != tt.want {
				t.Errorf("got  %s\nwant %s\n%s", got, tt.want, d.YAML)
			}
		})
	}
}

func TestDraftSaysWhatWasFound(t *testing.T) {
	d, err := Init(tree(map[string]string{
		"api/package.json": express, "api/package-lock.json": "{}", "api/server.js": "app.listen(3000)", "api/.env.example": "DATABASE_URL=\nPORT=3000\n",
		"web/Containerfile": "FROM x AS test\nFROM y\n",
	}), "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := `# What the components of this app are, and how they are built and run.
# Drafted by hks init from what it found; all keys: hks schema
app: shop

components:
  api:
    # package.json: a Node.js package
    # package-lock.json: packages by npm
    # package.json: test script "node --test"
    # package.json: start script "node server.js"
    # server.js: port 3000
    kind: backend
    build: ./api
    port: 3000
    route: /
    # health: /healthz          # ready once it answers; default: the port accepts connections
    test: npm test
    # command: node server.js   # what is started without this key
    # secrets: [DATABASE_URL]   # named in the example of its settings; or set them under env

  web:
    # Containerfile: the image is built as it says
    # Containerfile: the stage test
    # nothing says a port: 8080 is assumed, and given to it as PORT
    kind: backend
    build: {folder: ./web, dockerfile: Containerfile}
    port: 8080                  # assumed: change it if it listens elsewhere
    # health: /healthz          # ready once it answers; default: the port accepts connections
    test: {target: test}

# Note: api is reached from outside, the others inside only: give them a route if they should be

# What differs in an environment, merged into a component key by key:
# environments:
#   production:
#     components:
#       api: {replicas: 2}
`
	if string(d.YAML) != want {
		t.Errorf("got:\n%s", d.YAML)
	}
}

func TestInitRefuses(t *testing.T) {
	if _, err := Init(tree(nil), "shop"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Init(tree(map[string]string{"index.html": "x"}), "My Shop"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("name: %v", err)
	}
	_, err := Init(tree(map[string]string{"api/package.json": "{"}), "shop")
	if agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), "in api: package.json:1 is not valid") {
		t.Errorf("damaged: %v", err)
	}
}

func TestInitIsBounded(t *testing.T) {
	m := fstest.MapFS{}
	for i := range 400 {
		m[fmt.Sprintf("d%04d/index.html", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	d, err := Init(m, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Found) != maxComponents || len(d.Notes) != 2 {
		t.Errorf("%d components, notes %q", len(d.Found), d.Notes)
	}
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{"shop": "shop", "My Shop": "my-shop", "api2": "api2", "2api": "api", "--a__b--": "a-b", "ä": "", "": "", strings.Repeat("ab-", 10): "ab-ab-ab-ab-ab-ab-ab"} {
		if got := Slug(in); got != want {
			t.Errorf("Slug(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestScalarReadsBackAsItIs(t *testing.T) {
	for _, text := range []string{"true", "No", "1", "1.5", ".", "..", "a b", "- a", "a: b", "#", "'", `"`, "\\", "{a}", "*a", "&a", "!a", "%", "@", "`", "", "ä", "null", "~", "a\nb", "2026-01-01", "=", "<<", "./api"} {
		p, err := Parse([]byte("app: a\ncomponents: {c: {image: x, env: {A: " + scalar(text) + "}}}\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if list, _ := p.Components(agent.Staging); list[0].Env["A"] != text {
			t.Errorf("%q is read back as %q", text, list[0].Env["A"])
		}
	}
}
