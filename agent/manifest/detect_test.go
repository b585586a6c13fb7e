package manifest

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"hks.dev/hks/agent"
)

// tree makes a file system of names and texts.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

const goServer = "package main\n\nfunc main() { http.ListenAndServe(\":9090\", nil) }\n"

// shapes are folders as people have them, and what each is.
var shapes = map[string]struct {
	files    map[string]string
	want     Detection // without Evidence
	evidence string
}{
	"Dockerfile first": {
		map[string]string{
			"Dockerfile":   "FROM node:24 AS build\nEXPOSE 1234\nRUN npm ci\nFROM build AS test\nRUN npm test\nFROM node:24\nENV A=b \\\n  PORT=5555\nEXPOSE 3000/tcp\n",
			"package.json": `{"scripts":{"start":"node ."}}`,
		},
		Detection{Template: TemplateDockerfile, Kind: KindBackend, Port: 3000, Dockerfile: "Dockerfile", TestTarget: "test"}, "Dockerfile: port 3000",
	},
	"Containerfile that says no port": {
		map[string]string{"Containerfile": "from scratch\nexpose $PORT\n"},
		Detection{Template: TemplateDockerfile, Kind: KindBackend, Port: 8080, Dockerfile: "Containerfile"}, "nothing says a port: 8080 is assumed, and given to it as PORT",
	},
	"Vite and React": {
		map[string]string{
			"package.json":      `{"scripts":{"dev":"vite","build":"tsc && vite build","start":"vite","test":"vitest"},"dependencies":{"react":"19"},"devDependencies":{"vite":"7"},"engines":{"node":">=22"}}`,
			"package-lock.json": "{}", "index.html": "<html>", "vite.config.ts": "export default { build: { outDir: './build/web' } }",
		},
		Detection{
			Template: TemplateReact, Kind: KindFrontend, Port: 8080, PackageManager: "npm", LockFile: "package-lock.json", BuildScript: "build",
			Output: "build/web", TestCommand: []string{"npm", "test"}, Version: ">=22",
		}, `package.json: built by vite with "tsc && vite build" into dist, served as files`,
	},
	"Vite whose output leaves the folder": {
		map[string]string{
			"package.json": `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"7"}}`, "yarn.lock": "", "vite.config.js": "outDir: '../../etc'",
		},
		Detection{Template: TemplateReact, Kind: KindFrontend, Port: 8080, PackageManager: "yarn", LockFile: "yarn.lock", BuildScript: "build", Output: "dist"},
		`vite.config.js: outDir "../../etc" leaves the folder and is not used`,
	},
	"Create React App by pnpm": {
		map[string]string{
			"package.json":   `{"scripts":{"start":"react-scripts start","build":"react-scripts build"},"dependencies":{"react-scripts":"5"}}`,
			"pnpm-lock.yaml": "",
		},
		Detection{Template: TemplateReact, Kind: KindFrontend, Port: 8080, PackageManager: "pnpm", LockFile: "pnpm-lock.yaml", BuildScript: "build", Output: "build"},
		"pnpm-lock.yaml: packages by pnpm",
	},
	"Next.js that exports files": {
		map[string]string{
			"package.json":    `{"scripts":{"build":"next build"},"dependencies":{"next":"16","react":"19"}}`,
			"next.config.mjs": "export default { output: 'export' }",
		},
		Detection{Template: TemplateReact, Kind: KindFrontend, Port: 8080, PackageManager: "npm", BuildScript: "build", Output: "out"},
		"no lock file of npm, pnpm or yarn: versions are not pinned",
	},
	"Next.js that serves": {
		map[string]string{"package.json": `{"scripts":{"build":"next build","start":"next start -p 3100"},"dependencies":{"next":"16"}}`},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 3100, PackageManager: "npm", BuildScript: "build", StartCommand: []string{"npm", "start"}},
		"package.json: port 3100",
	},
	"Express": {
		map[string]string{
			"package.json": `{"scripts":{"start":"node src/server.js","test":"node --test"},"dependencies":{"express":"5"}}`, "package-lock.json": "{}",
			"src/server.js": "app.listen(process.env.PORT || 3000)",
		},
		Detection{
			Template: TemplateNode, Kind: KindBackend, Port: 3000, PackageManager: "npm", LockFile: "package-lock.json",
			StartCommand: []string{"node", "src/server.js"}, TestCommand: []string{"npm", "test"},
		}, "src/server.js: port 3000",
	},
	"Express that builds its own pages": {
		map[string]string{
			"package.json": `{"scripts":{"build":"vite build","start":"NODE_ENV=production node server.js","test":"echo \"Error: no test specified\" && exit 1"},"dependencies":{"express":"5","vite":"7"},"packageManager":"yarn@4.1.0"}`,
			"server.js":    "connect({host: 'db', port: 5432})\nconst port = 4000",
		},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 4000, PackageManager: "yarn", BuildScript: "build", StartCommand: []string{"yarn", "start"}},
		"package.json asks for yarn; there is no lock file, so that versions are not pinned",
	},
	"Node.js whose start script is for development": {
		map[string]string{"package.json": `{"main":"./index.js","scripts":{"start":"nodemon index.js"},"dependencies":{"koa":"3"}}`, "index.js": "x"},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 8080, PackageManager: "npm", StartCommand: []string{"node", "index.js"}},
		`package.json: the script start is for development: "nodemon index.js"`,
	},
	"Nest": {
		map[string]string{"package.json": `{"scripts":{"build":"nest build","start":"nest start","start:prod":"node dist/main"},"dependencies":{"@nestjs/core":"11"}}`, "src/main.ts": "await app.listen(process.env.PORT ?? 3000);"},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 3000, PackageManager: "npm", BuildScript: "build", StartCommand: []string{"node", "dist/main"}},
		"src/main.ts: port 3000",
	},
	"a worker of Node.js": {
		map[string]string{"package.json": `{"scripts":{"start":"node worker.js"},"dependencies":{"bullmq":"5"}}`, "worker.js": "new Worker()"},
		Detection{Template: TemplateNode, Kind: KindWorker, PackageManager: "npm", StartCommand: []string{"node", "worker.js"}},
		"package.json: works with bullmq, and nothing listens",
	},
	"lock files of two, package.json decides": {
		map[string]string{"package.json": `{"scripts":{"start":"node a.js"},"packageManager":"npm@11"}`, "yarn.lock": "", "package-lock.json": "", "a.js": ".listen(8000)"},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 8000, PackageManager: "npm", LockFile: "package-lock.json", StartCommand: []string{"node", "a.js"}},
		"package-lock.json: packages by npm",
	},
	"Go": {
		map[string]string{"go.mod": "module example.com/shop\n\ngo 1.25.1\n", "main.go": goServer, "main_test.go": "package main\n"},
		Detection{Template: TemplateGo, Kind: KindBackend, Port: 9090, GoMain: ".", TestCommand: []string{"go", "test", "./..."}, Version: "1.25.1"},
		"main.go: port 9090",
	},
	"Go with commands": {
		map[string]string{
			"go.mod": "module example.com/shop\n", "gen.go": "//go:build ignore\n\npackage main\n", "shop.go": "/* package main\n*/\npackage shop\n",
			"cmd/admin/main.go": "package main", "cmd/shop/main.go": "package main // it is", "internal/web/web.go": "package web\nfunc f() { s.ListenAndServe() }\n",
		},
		Detection{Template: TemplateGo, Kind: KindBackend, Port: 8080, GoMain: "./cmd/shop"}, "further mains: ./cmd/admin",
	},
	"a worker in Go": {
		map[string]string{"go.mod": "module m\n", "main.go": "package main\n"},
		Detection{Template: TemplateGo, Kind: KindWorker, GoMain: "."}, "nothing in it listens: a worker",
	},
	"FastAPI": {
		map[string]string{"requirements.txt": "fastapi[standard]>=0.115\nuvicorn\npytest\n", "app/main.py": "app_ = 1\napi: FastAPI = FastAPI(title='x')\n"},
		Detection{
			Template: TemplatePython, Kind: KindBackend, Port: 8000, PythonEntry: "app/main.py", Requirements: "requirements.txt",
			StartCommand: []string{"python", "-m", "uvicorn", "app.main:api", "--host", "0.0.0.0", "--port", "8000"}, TestCommand: []string{"python", "-m", "pytest"},
		}, "app/main.py: the application is in api",
	},
	"Flask with gunicorn": {
		map[string]string{"pyproject.toml": "[project]\nrequires-python = \">=3.12\"\ndependencies = [\"flask>=3\", \"gunicorn\"]\n", "app.py": "app = Flask(__name__)\napp.run(port=5001)\n"},
		Detection{
			Template: TemplatePython, Kind: KindBackend, Port: 5001, PythonEntry: "app.py", Requirements: "pyproject.toml", Version: ">=3.12",
			StartCommand: []string{"python", "-m", "gunicorn", "--bind", "0.0.0.0:5001", "app:app"},
		}, "gunicorn: port 5001",
	},
	"Flask alone": {
		map[string]string{"requirements.txt": "Flask==3.1\nflask-cors\n", "app.py": "server = flask.Flask(__name__)\n"},
		Detection{
			Template: TemplatePython, Kind: KindBackend, Port: 5000, PythonEntry: "app.py", Requirements: "requirements.txt",
			StartCommand: []string{"python", "-m", "flask", "--app", "app:server", "run", "--host", "0.0.0.0", "--port", "5000"},
		}, "no gunicorn in the requirements: Flask's server for development is started",
	},
	"Django": {
		map[string]string{"requirements.txt": "Django\ngunicorn\n", "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"},
		Detection{
			Template: TemplatePython, Kind: KindBackend, Port: 8000, PythonEntry: "manage.py", Requirements: "requirements.txt",
			StartCommand: []string{"python", "-m", "gunicorn", "--bind", "0.0.0.0:8000", "site1.wsgi"},
		}, "manage.py: a Django project",
	},
	"Python without requirements": {
		map[string]string{"main.py": "HTTPServer(('', 8123), H).serve_forever()\n", "tests/test_main.py": "import unittest\n"},
		Detection{
			Template: TemplatePython, Kind: KindBackend, Port: 8123, PythonEntry: "main.py", StartCommand: []string{"python", "main.py"},
			TestCommand: []string{"python", "-m", "unittest", "discover", "-s", "tests"},
		}, "main.py: port 8123",
	},
	"a worker in Python": {
		map[string]string{"requirements.txt": "requests\n", "main.py": "print(1)\n"},
		Detection{Template: TemplatePython, Kind: KindWorker, PythonEntry: "main.py", Requirements: "requirements.txt", StartCommand: []string{"python", "main.py"}},
		"nothing in it listens: a worker",
	},
	"static files": {
		map[string]string{"index.html": "<html>", "app.js": "x"},
		Detection{Template: TemplateStatic, Kind: KindFrontend, Port: 8080, Output: "."}, "index.html: files that are served as they are",
	},
	"package.json that only lists tools": {
		map[string]string{"package.json": `{"devDependencies":{"prettier":"3"}}`, "public/index.html": "<html>"},
		Detection{Template: TemplateStatic, Kind: KindFrontend, Port: 8080, Output: "public"}, "public/index.html: files",
	},
	"values of the wrong type": {
		map[string]string{"package.json": `{"main":7,"scripts":{"start":"node a.js","build":[]},"packageManager":{},"engines":[],"dependencies":{"express":{}}}`},
		Detection{Template: TemplateNode, Kind: KindBackend, Port: 8080, PackageManager: "npm", StartCommand: []string{"node", "a.js"}}, "package.json: start script",
	},
}

func TestDetect(t *testing.T) {
	for name, tt := range shapes {
		t.Run(name, func(t *testing.T) {
			got, err := Detect(tree(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			evidence := strings.Join(got.Evidence, "\n")
			if !strings.Contains("\n"+evidence, "\n"+tt.evidence) {
				t.Errorf("evidence:\n%s\nwant a line %q", evidence, tt.evidence)
			}
			got.Evidence, got.assumed, got.weak, got.coordinates = nil, false, false, false
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestDetectRefuses(t *testing.T) {
	tests := map[string]struct {
		files fs.FS
		code  agent.Code
		want  string
	}{
		"nothing":              {tree(map[string]string{"README.md": "x"}), agent.CodeNotFound, "nothing here can be built"},
		"a Go library":         {tree(map[string]string{"go.mod": "module m", "m.go": "package m"}), agent.CodeNotFound, "nothing here can be built"},
		"damaged package.json": {tree(map[string]string{"package.json": "{\n\n  \"a\": }"}), agent.CodeInvalid, "package.json:3 is not valid: invalid character '}'"},
		"package.json is huge": {tree(map[string]string{"package.json": strings.Repeat(" ", maxFileBytes) + "{}"}), agent.CodeInvalid, "package.json has more than 1048576 bytes"},
		"no regular file":      {fstest.MapFS{"Dockerfile": {Mode: fs.ModeNamedPipe}, "package.json": {Mode: fs.ModeDevice}, "go.mod/x": {}}, agent.CodeNotFound, "nothing here can be built"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Detect(tt.files); agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v (%s), want %q", err, agent.CodeOf(err), tt.want)
			}
		})
	}
}
