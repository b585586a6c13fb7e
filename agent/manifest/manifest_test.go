package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func parse(t *testing.T, text string) *Project {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func example(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func examples(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{"backend", "frontend", "worker", "fullstack", "image", "volume"} {
		all[name] = example(t, name)
	}
	return all
}

func TestComponentsOfTheExamples(t *testing.T) {
	tests := []struct {
		example string
		env     agent.Environment
		want    []Component
	}{
		{"backend", agent.Staging, []Component{{
			Component: agent.Component{
				Name: "api", Port: 8080, Path: "/", Health: "/healthz", CPU: "500m", Memory: "256Mi",
				Env: map[string]string{"LOG_LEVEL": "info", "WORKERS": "4", "TRACE": "false"}, Secrets: []string{"DATABASE_URL"},
				Command: []string{"node", "server.js"}, Release: []string{"node", "migrate.js"},
			},
			Kind: KindBackend, Build: &Build{Folder: "."}, Test: &Test{Command: []string{"npm", "test"}}, Replicas: agent.Fixed(2),
		}}},
		{"backend", agent.Production, []Component{{
			Component: agent.Component{
				Name: "api", Port: 8080, Path: "/", Health: "/healthz", CPU: "500m", Memory: "256Mi",
				Env: map[string]string{"LOG_LEVEL": "info", "WORKERS": "4", "TRACE": "false"}, Secrets: []string{"DATABASE_URL"},
				Command: []string{"node", "server.js"}, Release: []string{"node", "migrate.js"},
			},
			Kind: KindBackend, Build: &Build{Folder: "."}, Test: &Test{Command: []string{"npm", "test"}}, Replicas: agent.Scale{Min: 2, Max: 6, CPU: 70},
		}}},
		{"volume", agent.Production, []Component{{
			Component: agent.Component{Name: "web", Port: 8080, Path: "/", Volumes: []agent.ComponentVolume{{Name: "data", Path: "/data", Size: "5Gi"}}},
			Kind:      KindBackend, Build: &Build{Folder: "."},
		}}},
		{"frontend", agent.Production, []Component{{
			Component: agent.Component{Name: "web", Port: 8080, Path: "/"},
			Kind:      KindFrontend, Build: &Build{Folder: "web", Template: TemplateReact, Args: map[string]string{"VITE_TITLE": "My page"}},
			Test: &Test{Command: []string{"npm", "run", "test", "--", "--run"}},
		}}},
		{"worker", agent.Staging, []Component{{
			Component: agent.Component{Name: "queue", Secrets: []string{"SMTP_URL", "QUEUE_URL"}, Command: []string{"python", "-m", "mailer", "--batch", "20"}},
			Kind:      KindWorker, Build: &Build{Folder: ".", Dockerfile: "deploy/Dockerfile", Template: TemplateDockerfile, Target: "runtime"},
			Test: &Test{Target: "test"},
		}}},
		{"fullstack", agent.Staging, []Component{
			{
				Component: agent.Component{
					Name: "backend", Port: 8080, Path: "/api", Health: "/healthz", Env: map[string]string{"LOG_LEVEL": "debug", "CURRENCY": "EUR"},
					Secrets: []string{"DATABASE_URL"}, Release: []string{"node", "migrate.js"},
				},
				Kind: KindBackend, Build: &Build{Folder: "api"}, Test: &Test{Command: []string{"npm", "test"}},
			},
			{Component: agent.Component{Name: "frontend", Port: 8080, Path: "/"}, Kind: KindFrontend, Build: &Build{Folder: "web"}},
			{
				Component: agent.Component{Name: "jobs", Command: []string{"node", "jobs.js"}, Secrets: []string{"DATABASE_URL"}},
				Kind:      KindWorker, Build: &Build{Folder: "api", Template: TemplateNode},
			},
		}},
		{"fullstack", agent.Production, []Component{
			{
				Component: agent.Component{
					Name: "backend", Port: 8080, Path: "/api", Health: "/healthz", Env: map[string]string{"LOG_LEVEL": "warn", "CURRENCY": "EUR"},
					Secrets: []string{"DATABASE_URL"}, Release: []string{"node", "migrate.js"}, CPU: "2", Memory: "1Gi",
				},
				Kind: KindBackend, Build: &Build{Folder: "api"}, Test: &Test{Command: []string{"npm", "test"}}, Replicas: agent.Fixed(3),
			},
			{Component: agent.Component{Name: "frontend", Port: 8080, Host: "shop.example.com", Path: "/"}, Kind: KindFrontend, Build: &Build{Folder: "web"}},
			{
				Component: agent.Component{Name: "jobs", Command: []string{"node", "jobs.js"}, Secrets: []string{"DATABASE_URL"}},
				Kind:      KindWorker, Build: &Build{Folder: "api", Template: TemplateNode},
			},
		}},
		{"image", "", []Component{
			{
				Component: agent.Component{
					Name: "collector", Image: "ghcr.io/example/collector@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
					Port: 9000, Env: map[string]string{"RETENTION": "7d"},
				},
				Kind: KindBackend,
			},
			{Component: agent.Component{Name: "dashboard", Image: "ghcr.io/example/dashboard:1.4.2", Port: 3000, Host: "metrics.example.com", Path: "/"}, Kind: KindBackend},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.example+" "+string(tt.env), func(t *testing.T) {
			got, err := parse(t, string(example(t, tt.example))).Components(tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestComponentsOfAnUnknownEnvironment(t *testing.T) {
	if _, err := parse(t, "app: a\ncomponents: {web: {image: x}}\n").Components("qa"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("error = %v", err)
	}
}

func TestOverrides(t *testing.T) {
	p := parse(t, `app: a
components:
  web: {build: {folder: ., args: {A: 1}}, port: 80, env: {A: one, B: two}, secrets: [S], test: npm test}
  tool: {image: tool:1}
environments:
  staging: {components: {web: {env: {B: "", C: 0x10}, secrets: [T], port: 81}}}
  production: {components: {web: {build: {folder: p}}, tool: {build: ./tool}}}
`)
	staging, _ := p.Components(agent.Staging)
	production, _ := p.Components(agent.Production)
	web := staging[1]
	if want := map[string]string{"A": "one", "B": "", "C": "0x10"}; !reflect.DeepEqual(web.Env, want) || web.Secrets[0] != "T" || web.Port != 81 {
		t.Errorf("staging: %+v", web)
	}
	if web := production[1]; !reflect.DeepEqual(web.Build, &Build{Folder: "p"}) || web.Port != 80 || web.Env["B"] != "two" {
		t.Errorf("production: %+v", web)
	}
	if tool := production[0]; tool.Image != "" || tool.Build.Folder != "tool" {
		t.Errorf("a build takes the place of an image: %+v", tool)
	}
}

// one is a file around the keys of one component, which begin at line 4.
func one(keys string) string { return "app: a\ncomponents:\n  web:\n    " + keys + "\n" }

// refused are files that Parse refuses, and the first line of its message.
var refused = map[string]struct{ text, want string }{
	"unknown key":          {one("image: x\n    prot: 80"), "hks.yaml:5:5: components.web.prot: unknown key, did you mean `port`?"},
	"unknown first key":    {"app: a\ncomponent: {}\n", "hks.yaml:1:1: the key components is missing"},
	"unknown, none near":   {one("image: x\n    annotations: []"), "hks.yaml:5:5: components.web.annotations: unknown key, known are kind, build, image,"},
	"unknown build key":    {one("build: {foldr: .}"), "hks.yaml:4:13: components.web.build.foldr: unknown key, did you mean `folder`?"},
	"unknown environment":  {one("image: x") + "environments: {prod: {}}\n", "hks.yaml:5:16: environments.prod: unknown key, did you mean `production`?"},
	"unknown override":     {one("image: x") + "environments: {staging: {components: {wbe: {}}}}\n", "hks.yaml:5:39: environments.staging.components.wbe: unknown component, did you mean `web`?"},
	"duplicate key":        {one("image: x\n    image: y"), "hks.yaml:5:5: components.web.image: the key was given in line 4 already"},
	"duplicate component":  {one("image: x") + "  web: {image: y}\n", "hks.yaml:5:3: components.web: the key was given in line 3 already"},
	"duplicate secret":     {one("image: x\n    secrets: [A, A]"), "hks.yaml:5:18: components.web.secrets[1]: A was given in line 5 already"},
	"merge key":            {one("<<: {image: x}"), "hks.yaml:4:5: components.web.<<: merge keys are not read"},
	"key is no word":       {one("[a]: x"), "hks.yaml:4:5: components.web: a key is no word"},
	"empty":                {"", "hks.yaml:1:1: the file is empty"},
	"only a comment":       {"# nothing\n", "hks.yaml:1:1: the file is empty"},
	"null":                 {"~\n", "hks.yaml:1:1: the file is empty"},
	"a list":               {"- app\n", "hks.yaml:1:1: this is a list, a mapping of keys to values belongs here"},
	"a word":               {"app\n", "hks.yaml:1:1: this is a text, a mapping of keys to values belongs here"},
	"not YAML":             {"app: a\n\tcomponents: {}\n", "hks.yaml:2:1: not valid YAML: found a tab character"},
	"not UTF-8":            {"app: \xff\n", "hks.yaml:1:1: the file is not text in UTF-8"},
	"two documents":        {one("image: x") + "---\napp: b\n", "hks.yaml:5:1: a second document begins here"},
	"too large":            {"# " + strings.Repeat("x", MaxBytes), "hks.yaml:1:1: the file has 262146 bytes, 262144 are allowed"},
	"alias":                {"app: &a web\ncomponents: {web: {image: *a}}\n", "hks.yaml:1:6: anchors and aliases (& and *) are not read"},
	"alias bomb":           {"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "hks.yaml:1:4: anchors and aliases"},
	"tag":                  {one("image: !!binary eA=="), "hks.yaml:4:12: tags (!) are not read"},
	"app missing":          {"components: {web: {image: x}}\n", "hks.yaml:1:1: the key app is missing"},
	"app of wrong type":    {"app: [a]\ncomponents: {web: {image: x}}\n", "hks.yaml:1:6: app: this is a list, a text belongs here"},
	"app is a number":      {"app: 1\ncomponents: {web: {image: x}}\n", "hks.yaml:1:6: app: this is a number, a text belongs here"},
	"app is empty":         {"app:\ncomponents: {web: {image: x}}\n", "hks.yaml:1:5: app: it has no value, a text belongs here"},
	"app of wrong form":    {"app: My App\ncomponents: {web: {image: x}}\n", `hks.yaml:1:6: app: "My App" is not the name of an application`},
	"no component":         {"app: a\ncomponents: {}\n", "hks.yaml:2:13: components: it is empty, at least one component belongs here"},
	"too many components":  {"app: a\ncomponents: {" + many(21, "c%d: {image: x}") + "}\n", "hks.yaml:2:13: components: 21 components are too many"},
	"component name":       {"app: a\ncomponents: {Web: {image: x}}\n", `hks.yaml:2:14: components.Web: "Web" is not the name of a component`},
	"reserved name":        {"app: a\ncomponents: {staging: {image: x}}\n", "hks.yaml:2:14: components.staging: staging is an environment"},
	"names too long":       {"app: " + strings.Repeat("a", 30) + "\ncomponents: {" + strings.Repeat("b", 11) + ": {image: x}}\n", "hks.yaml:2:14: components.bbbbbbbbbbb: the names of app and component have 41 letters together, 40 are allowed"},
	"component is empty":   {"app: a\ncomponents:\n  web:\n", "hks.yaml:3:3: components.web: it has no value, a mapping"},
	"neither":              {one("port: 80"), "hks.yaml:3:3: components.web: it has neither build nor image"},
	"both":                 {one("build: .\n    image: x"), "hks.yaml:5:12: components.web.image: build and image exclude each other"},
	"both in an override":  {one("image: x") + "environments: {staging: {components: {web: {build: ., image: y}}}}\n", "hks.yaml:5:62: environments.staging.components.web.image: build and image exclude each other"},
	"kind":                 {one("image: x\n    kind: workr"), "hks.yaml:5:11: components.web.kind: unknown word \"workr\", did you mean `worker`?"},
	"worker with a port":   {one("image: x\n    kind: worker\n    port: 80"), "hks.yaml:6:11: components.web.port: nothing listens in a worker, so it has no port"},
	"backend, no port":     {one("image: x\n    kind: backend"), "hks.yaml:3:3: components.web: a backend needs a port"},
	"route, no port":       {one("image: x\n    route: /"), "hks.yaml:5:12: components.web.route: a route needs a port"},
	"health, no port":      {one("image: x\n    health: /"), "hks.yaml:5:13: components.web.health: a health path needs a port"},
	"port too high":        {one("image: x\n    port: 65536"), "hks.yaml:5:11: components.web.port: 65536 is not a TCP port"},
	"port negative":        {one("image: x\n    port: -1"), "hks.yaml:5:11: components.web.port: this is a number, a whole number in decimal digits belongs here"},
	"port octal":           {one("image: x\n    port: 0o17"), "hks.yaml:5:11: components.web.port: this is a number, a whole number in decimal digits"},
	"port is a text":       {one("image: x\n    port: '80'"), "hks.yaml:5:11: components.web.port: this is a text, a whole number"},
	"port is a fraction":   {one("image: x\n    port: 80.5"), "hks.yaml:5:11: components.web.port: this is a number, a whole number"},
	"port is empty":        {one("image: x\n    port:"), "hks.yaml:5:10: components.web.port: it has no value, a whole number"},
	"replicas":             {one("image: x\n    replicas: 0"), "hks.yaml:5:15: components.web.replicas: 0 instances can't be asked for, 1 to 100 can"},
	"replicas too many":    {one("image: x\n    replicas: 101"), "hks.yaml:5:15: components.web.replicas: 101 instances can't be asked for"},
	"replicas a text":      {one("image: x\n    replicas: many"), "hks.yaml:5:15: components.web.replicas: this is a text, a whole number"},
	"scale without max":    {one("image: x\n    replicas: {min: 2}"), "hks.yaml:5:15: components.web.replicas: the key max is missing"},
	"scale upside down":    {one("image: x\n    replicas: {min: 4, max: 2}"), "hks.yaml:5:29: components.web.replicas.max: from 4 to 2 instances there is nothing to scale"},
	"scale of one number":  {one("image: x\n    replicas: {max: 1}"), "hks.yaml:5:21: components.web.replicas.max: from 1 to 1 instances there is nothing"},
	"scale too far":        {one("image: x\n    replicas: {max: 101}"), "hks.yaml:5:21: components.web.replicas.max: 101 instances can't be asked for"},
	"scale from none":      {one("image: x\n    replicas: {min: 0, max: 3}"), "hks.yaml:5:21: components.web.replicas.min: 0 instances can't be asked for"},
	"scale at no load":     {one("image: x\n    replicas: {max: 3, cpu: 5}"), "hks.yaml:5:29: components.web.replicas.cpu: 5 % is not between 10 and 100"},
	"scale at a text":      {one("image: x\n    replicas: {max: 3, cpu: 70%}"), "hks.yaml:5:29: components.web.replicas.cpu: this is a text, a whole number"},
	"scale by something":   {one("image: x\n    replicas: {max: 3, cpus: 70}"), "hks.yaml:5:24: components.web.replicas.cpus: unknown key, did you mean `cpu`?"},
	"image":                {one("image: Not An Image"), `hks.yaml:4:12: components.web.image: "Not An Image" is not the name of an image`},
	"image is long":        {one("image: " + strings.Repeat("x/", 300) + "x"), "hks.yaml:4:12: components.web.image:"},
	"folder leaves":        {one("build: ../other"), `hks.yaml:4:12: components.web.build: "../other" is not a folder of the project`},
	"folder leaves inside": {one("build: {folder: a/../../b}"), `hks.yaml:4:21: components.web.build.folder: "a/../../b" is not a folder of the project`},
	"folder is absolute":   {one("build: /etc"), `hks.yaml:4:12: components.web.build: "/etc" is not a folder`},
	"folder of Windows":    {one(`build: 'a\..\b'`), "hks.yaml:4:12: components.web.build:"},
	"folder is empty":      {one(`build: ""`), "hks.yaml:4:12: components.web.build:"},
	"folder has a newline": {one(`build: "a\nb"`), `hks.yaml:4:12: components.web.build: "a?b" is not a folder`},
	"dockerfile leaves":    {one("build: {dockerfile: ../Dockerfile}"), `hks.yaml:4:25: components.web.build.dockerfile: "../Dockerfile" is not a file of the project`},
	"dockerfile is .":      {one("build: {dockerfile: .}"), "hks.yaml:4:25: components.web.build.dockerfile: this is a folder"},
	"template":             {one("build: {template: node}"), "hks.yaml:4:23: components.web.build.template: unknown word \"node\", did you mean `nodejs`?"},
	"template, dockerfile": {one("build: {template: go, dockerfile: D}"), "hks.yaml:4:39: components.web.build.dockerfile: dockerfile is for a Dockerfile, the template go has none"},
	"template, target":     {one("build: {template: go, target: t}"), "hks.yaml:4:35: components.web.build.target: target is for a Dockerfile"},
	"target":               {one("build: {target: 'a b'}"), `hks.yaml:4:21: components.web.build.target: "a b" is not the name of a build stage`},
	"argument is a secret": {one("build: {args: {NPM_TOKEN: x}}"), "hks.yaml:4:31: components.web.build.args.NPM_TOKEN: arguments of a build stay in the image's history"},
	"argument of BuildKit": {one("build: {args: {BUILDKIT_SYNTAX: x}}"), "hks.yaml:4:37: components.web.build.args.BUILDKIT_SYNTAX: arguments that begin with BUILDKIT_"},
	"too many arguments":   {one("build: {args: {" + many(51, "A%d: x") + "}}"), "hks.yaml:4:19: components.web.build.args: 51 arguments are too many"},
	"route of wrong form":  {one("image: x\n    port: 1\n    route: api"), `hks.yaml:6:12: components.web.route: "api" is not an absolute URL path`},
	"route with a query":   {one("image: x\n    port: 1\n    route: /a?b"), `hks.yaml:6:12: components.web.route: "/a?b" is not an absolute URL path`},
	"route climbs":         {one("image: x\n    port: 1\n    route: {path: /a/../b}"), "hks.yaml:6:19: components.web.route.path:"},
	"route is empty":       {one("image: x\n    port: 1\n    route: {}"), "hks.yaml:6:12: components.web.route: it is empty"},
	"host":                 {one("image: x\n    port: 1\n    route: {host: 'A:80'}"), `hks.yaml:6:19: components.web.route.host: "A:80" is not a host name`},
	"health":               {one("image: x\n    port: 1\n    health: healthz"), `hks.yaml:6:13: components.web.health: "healthz" is not an absolute URL path`},
	"same route":           {"app: a\ncomponents:\n  x: {image: x, port: 1, route: /api}\n  y: {image: y, port: 1, route: /api/}\n", "hks.yaml:4:33: components.y.route: x is reached at /api/ already"},
	"same route, override": {"app: a\ncomponents:\n  x: {image: x, port: 1, route: /}\n  y: {image: y, port: 1}\nenvironments: {production: {components: {y: {route: /}}}}\n", "hks.yaml:5:53: environments.production.components.y.route: x is reached at / already"},
	"two frontends":        {"app: a\ncomponents:\n  x: {kind: frontend, image: x, port: 1}\n  y: {kind: frontend, image: y, port: 1}\n", "hks.yaml:4:3: components.y: x is a frontend without a route too"},
	"env name":             {one("image: x\n    env: {A-B: c}"), `hks.yaml:5:11: components.web.env.A-B: "A-B" is not a name of an environment variable`},
	"env name is long":     {one("image: x\n    env: {" + strings.Repeat("A", 129) + ": c}"), "hks.yaml:5:11: components.web.env.AAAA"},
	"env value":            {one("image: x\n    env: {A: [b]}"), "hks.yaml:5:14: components.web.env.A: this is a list, a text, a number or a boolean belongs here"},
	"env value is empty":   {one("image: x\n    env: {A: }"), "hks.yaml:5:"},
	"env value has a zero": {one(`image: x` + "\n    env: {A: \"b\\0\"}"), "hks.yaml:5:14: components.web.env.A: the value holds a zero byte"},
	"env is a list":        {one("image: x\n    env: [A=b]"), "hks.yaml:5:10: components.web.env: this is a list, a mapping"},
	"too many variables":   {one("image: x\n    env: {" + many(501, "A%d: x") + "}"), "hks.yaml:5:10: components.web.env: 501 variables are too many"},
	"secret with a value":  {one("image: x\n    secrets: [A=b]"), `hks.yaml:5:15: components.web.secrets[0]: "A=b" is not a name of an environment variable`},
	"secrets is a mapping": {one("image: x\n    secrets: {A: b}"), "hks.yaml:5:14: components.web.secrets: this is a mapping, a list of names belongs here"},
	"too many secrets":     {one("image: x\n    secrets: [" + many(101, "A%d") + "]"), "hks.yaml:5:14: components.web.secrets: 101 secrets are too many"},
	"secret in the clear":  {one("image: x\n    env: {A: b}\n    secrets: [A]"), "hks.yaml:6:15: components.web.secrets[0]: A is under env too"},
	"cpu":                  {one("image: x\n    resources: {cpu: lots}"), `hks.yaml:5:22: components.web.resources.cpu: "lots" is not an amount`},
	"cpu too low":          {one("image: x\n    resources: {cpu: 9m}"), "hks.yaml:5:22: components.web.resources.cpu: 9m is not between 10m and 128"},
	"cpu too high":         {one("image: x\n    resources: {cpu: 129}"), "hks.yaml:5:22: components.web.resources.cpu: 129 is not between"},
	"memory in cores":      {one("image: x\n    resources: {memory: 256m}"), `hks.yaml:5:25: components.web.resources.memory: "256m" is not an amount`},
	"memory too low":       {one("image: x\n    resources: {memory: 1Mi}"), "hks.yaml:5:25: components.web.resources.memory: 1Mi is not between 16Mi and 1Ti"},
	"command of a shell":   {one("image: x\n    command: a && b"), "hks.yaml:5:14: components.web.command: '&' has a meaning for a shell only"},
	"command is empty":     {one("image: x\n    command: []"), "hks.yaml:5:14: components.web.command: the command is empty"},
	"command of a number":  {one("image: x\n    command: 1"), "hks.yaml:5:14: components.web.command: this is a number, a command,"},
	"command has a list":   {one("image: x\n    command: [a, [b]]"), "hks.yaml:5:18: components.web.command[1]: this is a list, a text"},
	"command is long":      {one("image: x\n    command: [" + many(101, "a%d") + "]"), "hks.yaml:5:14: components.web.command: the command has 101 words"},
	"release":              {one("image: x\n    release: A=b c"), "hks.yaml:5:14: components.web.release: the program's name is missing"},
	"test of an image":     {one("image: x\n    test: npm test"), "hks.yaml:5:11: components.web.test: tests run where the source is built"},
	"test without target":  {one("build: .\n    test: {}"), "hks.yaml:5:11: components.web.test: the key target is missing"},
	"test target, go":      {one("build: {template: go}\n    test: {target: test}"), "hks.yaml:5:11: components.web.test: target is for a Dockerfile, the template go has none"},
	"volumes is a mapping": {one("image: x\n    volumes: {data: /data}"), "hks.yaml:5:14: components.web.volumes: this is a mapping, a list of volumes"},
	"volume is a text":     {one("image: x\n    volumes: [/data]"), "hks.yaml:5:15: components.web.volumes[0]: this is a text, a mapping of keys"},
	"volume without size":  {one("image: x\n    volumes: [{name: a, path: /a}]"), "hks.yaml:5:15: components.web.volumes[0]: the key size is missing"},
	"volume, unknown key":  {one("image: x\n    volumes: [{name: a, pth: /a, size: 1Gi}]"), "hks.yaml:5:15: components.web.volumes[0]: the key path is missing"},
	"volume's name":        {one("image: x\n    volumes: [{name: A, path: /a, size: 1Gi}]"), `hks.yaml:5:22: components.web.volumes[0].name: "A" is not the name of a volume`},
	"volume's path":        {one("image: x\n    volumes: [{name: a, path: /proc/1, size: 1Gi}]"), `hks.yaml:5:31: components.web.volumes[0].path: "/proc/1" can't be the folder of a volume`},
	"volume's path climbs": {one("image: x\n    volumes: [{name: a, path: /a/.., size: 1Gi}]"), `hks.yaml:5:31: components.web.volumes[0].path: "/a/.." can't be`},
	"volume's size":        {one("image: x\n    volumes: [{name: a, path: /a, size: lots}]"), `hks.yaml:5:41: components.web.volumes[0].size: "lots" is not an amount`},
	"volume is too small":  {one("image: x\n    volumes: [{name: a, path: /a, size: 1Mi}]"), "hks.yaml:5:41: components.web.volumes[0].size: 1Mi is not between 16Mi and 16Ti"},
	"two volumes, a path":  {one("image: x\n    volumes: [{name: a, path: /a, size: 1Gi}, {name: b, path: /a, size: 1Gi}]"), "hks.yaml:5:63: components.web.volumes[1].path: /a was given in line 5 already"},
	"volume, 2 instances":  {one("image: x\n    volumes: [{name: a, path: /a, size: 1Gi}]\n    replicas: 2"), "hks.yaml:6:15: components.web.replicas: a component with a volume has one instance"},
	"message is one line":  {one("\"a\\n\\e[31mb\": x"), "hks.yaml:4:5: components.web.a??[31mb: unknown key"},
}

func many(n int, format string) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(format, i))
	}
	return strings.Join(items, ", ")
}

func TestParseRefuses(t *testing.T) {
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if agent.CodeOf(err) != agent.CodeInvalid || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant     %s", err, tt.want)
			}
		})
	}
}

func TestParseTellsAllProblems(t *testing.T) {
	_, err := Parse([]byte(one("image: x\n    port: http\n    routes: /\n    replicas: 0")))
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		t.Fatalf("error = %v", err)
	}
	want := "hks.yaml:5:11: components.web.port: this is a text, a whole number in decimal digits belongs here\n" +
		"hks.yaml:6:5: components.web.routes: unknown key, did you mean `route`?\n" +
		"hks.yaml:7:15: components.web.replicas: 0 instances can't be asked for, 1 to 100 can"
	if e.Message != want || e.Fix != "hks app stop takes all instances away" {
		t.Errorf("message:\n%s\nfix: %s", e.Message, e.Fix)
	}
	list, ok := e.Details["problems"].([]Problem)
	if !ok || len(list) != 3 || list[1].Line != 6 || list[1].Column != 5 || list[1].Path != "components.web.routes" {
		t.Errorf("details: %+v", e.Details)
	}
}

func TestParseTellsTenProblemsAtMost(t *testing.T) {
	_, err := Parse([]byte(one("image: x\n    env: {" + many(30, "A-%d: x") + "}")))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 || lines[10] != "and 20 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestInsidePathIsClean(t *testing.T) {
	for in, want := range map[string]string{".": ".", "./": ".", "./api": "api", "api/": "api", "a//b/./c": "a/b/c", "..a": "..a", "ä b": "ä b"} {
		if got, ok := insidePath(in); !ok || got != want {
			t.Errorf("insidePath(%q) = %q, %t, want %q", in, got, ok, want)
		}
	}
}

// TestParseIsBounded has shapes that cost some parsers minutes or their stack.
func TestParseIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"lists":    strings.Repeat("[", MaxBytes),
		"closed":   strings.Repeat("[", 9900) + strings.Repeat("]", 9900),
		"mappings": strings.Repeat("{a: ", MaxBytes/4),
		"items":    strings.Repeat("- ", MaxBytes/2),
		"keys":     strings.Repeat("? ", MaxBytes/2),
		"same key": strings.Repeat("a: 1\n", MaxBytes/5),
		"many":     "app: a\ncomponents: {" + many(10000, "c%d: {image: x}") + "}\n",
	} {
		if _, err := Parse([]byte(text)); agent.CodeOf(err) != agent.CodeInvalid || len(err.Error()) > 16<<10 {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}
