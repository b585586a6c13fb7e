package manifest

import (
	"errors"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// FuzzParse feeds hostile files: nothing panics, messages stay short and on
// their lines, and what is accepted resolves within its bounds.
func FuzzParse(f *testing.F) {
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
		c.Replicas < 0 || c.Replicas > maxReplicas,
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
