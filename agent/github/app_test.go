package github

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
	double "hks.dev/hks/test/github"
)

func newDouble(t *testing.T) *double.Double {
	t.Helper()
	d, err := double.New(t.Context(), t.TempDir(), "octo/hello")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestA30AppIsMadeInstalledAndUsed(t *testing.T) {
	d := newDouble(t)
	action, manifest, err := Manifest(d.API(), "octo", "hks-x", "https://hks:8443", "https://hks:8443/cb", "the state")
	var m struct {
		Public      bool              `json:"public"`
		Redirect    string            `json:"redirect_url"`
		Permissions map[string]string `json:"default_permissions"`
	}
	if err != nil || json.Unmarshal(manifest, &m) != nil || m.Public || m.Redirect != "https://hks:8443/cb" || m.Permissions["contents"] != "read" || !strings.HasSuffix(action, "/organizations/octo/settings/apps/new?state=the+state") {
		t.Errorf("%s %s %v", action, manifest, err)
	}
	code, _, err := d.MakeApp()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "../x", "guess"} {
		if _, _, err := ConvertManifest(t.Context(), d.API(), wrong); err == nil {
			t.Errorf("the code %q was taken", wrong)
		}
	}
	app, about, err := ConvertManifest(t.Context(), d.API(), code)
	if err != nil || about.Slug != "hks-double" || !strings.HasSuffix(about.InstallURL, "/apps/hks-double/installations/new") {
		t.Fatalf("%+v %v", about, err)
	}
	if _, all, err := Installed(t.Context(), d.API(), app); err != nil || len(all) != 0 {
		t.Errorf("installed in %+v, %v", all, err)
	}
	d.Install()
	_, all, err := Installed(t.Context(), d.API(), app)
	if err != nil || len(all) != 1 || all[0].Account != "octo" {
		t.Fatalf("installed in %+v, %v", all, err)
	}
	app.Installation = all[0].ID
	c, err := New(Config{URL: d.API(), App: app})
	if err != nil {
		t.Fatal(err)
	}
	if repositories, err := c.Repositories(t.Context()); err != nil || len(repositories) != 1 || repositories[0].Name != d.Name {
		t.Errorf("%+v %v", repositories, err)
	}
	if login, err := c.Login(t.Context()); err != nil || login != "hks-double" {
		t.Errorf("%s %v", login, err)
	}
	_, basic, err := c.CloneFrom(t.Context(), d.Name)
	asked := d.Tokens()
	last := asked[len(asked)-1]
	if err != nil || !strings.HasPrefix(basic, "x-access-token:ghs_") || len(last.Repositories) != 1 || last.Repositories[0] != "hello" || last.Permissions["contents"] != "read" || len(last.Permissions) != 2 {
		t.Errorf("a token to clone was asked for with %+v, %v", last, err)
	}
	_, other, err := newDouble(t).MakeApp()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Installed(t.Context(), d.API(), App{ID: double.AppID, Key: other}); agent.CodeOf(err) != agent.CodeGitHub {
		t.Errorf("the key of another App: %v", err)
	}
	if _, _, err := Installed(t.Context(), d.API(), App{ID: 1, Key: "no key"}); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("no key: %v", err)
	}
}

func TestA33EachPermissionIsTried(t *testing.T) {
	d := newDouble(t)
	c, err := New(Config{URL: d.API(), Token: double.Token})
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{
		"": "", "POST /api/v3/repos/octo/hello/statuses": "Commit statuses: read and write", "/deployments": "Deployments: read and write",
		"/pulls": "Pull requests: read", "PATCH /api/v3/repos/octo/hello/hooks": "Webhooks: read and write", "/branches": "Contents: read", "/octo/hello": "Metadata: read",
	} {
		d.RefuseAll()
		if part != "" {
			d.RefuseAll(part)
		}
		all, err := c.Permissions(t.Context(), d.Name)
		if err != nil {
			t.Errorf("%s: %v", part, err)
		}
		var missing []string
		for _, p := range all {
			if !p.Granted {
				missing = append(missing, p.Name)
			}
		}
		if got := strings.Join(missing, ", "); got != want {
			t.Errorf("without %q: %s is missing, want %s", part, got, want)
		}
	}
	d.RefuseAll()
	if len(d.Statuses())+len(d.Deployments()) > 0 {
		t.Error("trying the permissions has changed something")
	}
}

func TestPullsTagsAndChangesAreFound(t *testing.T) {
	d := newDouble(t)
	c, err := New(Config{URL: d.API(), Token: double.Token})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		sha, err := d.Push(t.Context(), folder, name)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	first, second := write("one"), write("two")
	if files, all, err := c.Changed(t.Context(), d.Name, first, second); err != nil || all || strings.Join(files, " ") != "two" {
		t.Errorf("changed %v %v %v", files, all, err)
	}
	if _, all, err := c.Changed(t.Context(), d.Name, strings.Repeat("1", 40), second); err != nil || !all {
		t.Errorf("a commit that is gone: %v %v", all, err)
	}
	if err := d.Tag(t.Context(), "v1", first); err != nil {
		t.Fatal(err)
	}
	if tags, err := c.Tags(t.Context(), d.Name); err != nil || len(tags) != 1 || tags["v1"] != first {
		t.Errorf("%v %v", tags, err)
	}
	for number, from := range map[int]string{1: "stranger/hello", 2: "octo/hello"} {
		if _, err := d.OpenPull(t.Context(), number, from, folder, "x\x1b[31m"); err != nil {
			t.Fatal(err)
		}
	}
	pulls, all, err := c.Pulls(t.Context(), d.Name)
	if err != nil || !all || len(pulls) != 2 {
		t.Fatalf("%+v %v %v", pulls, all, err)
	}
	for _, p := range pulls {
		if p.Fork != (p.Number == 1) || strings.Contains(p.Title, "\x1b") {
			t.Errorf("%+v", p)
		}
	}
	id, err := c.AddDeployment(t.Context(), d.Name, second, "staging", "release 2")
	if err == nil {
		err = c.SetDeployment(t.Context(), d.Name, id, "success", "it serves")
	}
	if got := d.Deployments(); err != nil || len(got) != 1 || got[0].SHA != second || strings.Join(got[0].States, " ") != "success" {
		t.Errorf("%+v %v", got, err)
	}
}
