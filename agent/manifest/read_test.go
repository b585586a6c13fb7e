package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestRead(t *testing.T) {
	p, err := Read(tree(map[string]string{FileName: string(example(t, "fullstack")), "api/x": "", "web/x": ""}))
	if err != nil || p.App != "shop" {
		t.Fatalf("%+v, %v", p, err)
	}
}

func TestReadRefuses(t *testing.T) {
	build := func(block string) map[string]string {
		return map[string]string{FileName: one("build: " + block), "api/Dockerfile.dev": "", "file": ""}
	}
	tests := map[string]struct {
		files map[string]string
		code  agent.Code
		want  string
		fix   string
	}{
		"no file":       {nil, agent.CodeNotFound, "there is no hks.yaml", "hks init"},
		"a bad file":    {map[string]string{FileName: ""}, agent.CodeInvalid, "hks.yaml:1:1: the file is empty", "hks init"},
		"a huge file":   {map[string]string{FileName: strings.Repeat("#", MaxBytes+1)}, agent.CodeInvalid, "hks.yaml:1:1: the file has 262145 bytes", ""},
		"no folder":     {build("./apii"), agent.CodeInvalid, `hks.yaml:4:12: components.web.build: there is no folder "apii" in the project`, "did you mean api?"},
		"no such place": {build("./x/y"), agent.CodeInvalid, `hks.yaml:4:12: components.web.build: there is no folder "x/y"`, "correct the path"},
		"a file":        {build("{folder: file}"), agent.CodeInvalid, `hks.yaml:4:21: components.web.build.folder: there is no folder "file"`, ""},
		"no Dockerfile": {build("{folder: api, dockerfile: Dockerfile}"), agent.CodeInvalid, `hks.yaml:4:38: components.web.build.dockerfile: there is no file "Dockerfile" in the folder "api"`, ""},
		"in an override": {
			map[string]string{FileName: one("image: x") + "environments: {production: {components: {web: {build: nowhere}}}}\n"},
			agent.CodeInvalid, `hks.yaml:5:55: environments.production.components.web.build: there is no folder "nowhere"`, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Read(tree(tt.files))
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != tt.code || !strings.HasPrefix(e.Message, tt.want) || !strings.Contains(e.Fix, tt.fix) {
				t.Errorf("error = %v (%+v), want %s", err, e, tt.want)
			}
		})
	}
}

func TestReadFollowsNoLinkOutOfTheProject(t *testing.T) {
	outside, project := t.TempDir(), t.TempDir()
	for link, target := range map[string]string{"api": outside, "within": "real"} {
		if err := os.Symlink(target, filepath.Join(project, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(project, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(project)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read from
	for folder, ok := range map[string]bool{"api": false, "within": true} {
		if err := os.WriteFile(filepath.Join(project, FileName), []byte(one("build: "+folder)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(root.FS()); (err == nil) != ok {
			t.Errorf("%s: error = %v", folder, err)
		}
	}
}
