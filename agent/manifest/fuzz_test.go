package manifest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// FuzzParse feeds hostile files: nothing panics, messages stay short and on
// their lines, and what is accepted resolves within its bounds and is accepted
// by the schema too.
func FuzzParse(f *testing.F) {
	rs := resolvedSchema(f)
	for _, name := range []string{"backend", "fullstack", "image"} {
		f.Add(example(f, name))
	}
	for _, name := range []string{"alias bomb", "unknown key", "two documents", "tag", "merge key", "folder leaves inside", "command of a shell", "message is one line"} {
		f.Add([]byte(refused[name].text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != agent.CodeInvalid || !strings.HasPrefix(e.Message, FileName+":") {
				t.Fatalf("error = %#v", err)
			}
			if len(e.Message) > 16<<10 || strings.Count(e.Message, "\n") > maxTold || strings.ContainsAny(e.Message, "\x00\x1b\r") {
				t.Fatalf("message = %q", e.Message)
			}
			return
		}
		if err := validate(t, rs, data); err != nil {
			t.Fatalf("the schema refuses what Parse accepts: %v", err)
		}
		for _, env := range environments {
			list, err := p.Components(env)
			if err != nil || len(list) == 0 || len(list) > maxComponents {
				t.Fatalf("%d components, %v", len(list), err)
			}
			for _, c := range list {
				checkComponent(t, c)
			}
		}
	})
}

func checkComponent(t *testing.T, c Component) {
	t.Helper()
	switch {
	case agent.ValidateName("component", c.Name) != nil,
		(c.Build == nil) == (c.Image == ""),
		c.Port < 0 || c.Port > 65535,
		c.Port == 0 && (c.Path != "" || c.Health != "" || c.Kind != KindWorker),
		c.Port > 0 && c.Kind == KindWorker,
		c.Replicas.Min < 0 || c.Replicas.Max > maxReplicas || c.Replicas.Min > c.Replicas.Max,
		len(c.Env) > maxEnvNames || len(c.Secrets) > maxSecrets || len(c.Command) > maxCommandWords:
		t.Fatalf("%+v", c)
	}
	if c.Build != nil {
		for _, path := range []string{c.Build.Folder, c.Build.Dockerfile} {
			if clean, ok := insidePath(path); path != "" && (!ok || clean != path) {
				t.Fatalf("path %q", path)
			}
		}
	}
}

// FuzzInit feeds hostile source: whatever is in it, there is a file that Parse
// accepts, or an error for people.
func FuzzInit(f *testing.F) {
	f.Add("api", "package.json", express)
	f.Add("web", "package.json", vite)
	f.Add("a: b # c", "Dockerfile", "FROM x AS test\nEXPOSE 1\\\n80\n")
	f.Add("go", "main.go", goServer)
	f.Add("py", "app.py", "app = Flask(1)\napp.run(port=5001)\n")
	f.Add("new\nline", ".env.example", "A=1\nB C=2\n")
	f.Fuzz(func(t *testing.T, dir, name, text string) {
		if !fs.ValidPath(dir) || !fs.ValidPath(name) || dir == "." || name == "." {
			return
		}
		files := tree(map[string]string{dir + "/" + name: text, dir + "/go.mod": "module m\n", dir + "/main.py": "x", name: text})
		d, err := Init(files, "shop")
		switch {
		case err == nil && len(d.Found) > 0 && len(d.YAML) < MaxBytes:
		case agent.CodeOf(err) == agent.CodeInvalid, agent.CodeOf(err) == agent.CodeNotFound:
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("error = %q", err)
			}
		default:
			t.Fatalf("%+v, %v", d, err)
		}
	})
}
