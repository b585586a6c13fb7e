package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// projectFile makes a project that is nothing but its file.
func projectFile(t *testing.T, text string) string {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "hks.yaml"), text)
	return folder
}

const ledger = `app: ledger
components:
  web:
    image: page:1
    port: 8080
    route: /
    secrets: [LEDGER_KEY]
    release: [/app, exit, "RELEASE"]
  worker:
    image: page:1
    env: {VERSION: "9"}
`

// TestA21SecretsStayInside looks for a value where it must not be.
func TestA21SecretsStayInside(t *testing.T) {
	const canary = "canary-5f1d9b02c7"
	folder := projectFile(t, strings.Replace(ledger, "RELEASE", "0", 1))
	remove(t, "ledger")
	t.Run("a secret that is not set is named before anything is made", func(t *testing.T) {
		r := try(t, "deploy", "--source", folder)
		if r.exit != 1 || !strings.Contains(r.stderr, "LEDGER_KEY") || !strings.Contains(r.stderr, "fix: ") {
			t.Errorf("exit %d\n%s", r.exit, r.stderr)
		}
	})
	r := tryInput(t, "LEDGER_KEY="+canary+"\n", "deploy", "--source", folder, "--env-file", "-")
	if r.exit != 0 {
		t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	t.Run("who asks for it has it, the other has not", func(t *testing.T) {
		for component, want := range map[string]bool{"web": true, "worker": false} {
			r := try(t, "exec", "ledger", "--component", component, "--", "/app", "env", "LEDGER_KEY")
			if has := strings.Contains(r.stdout, canary); has != want {
				t.Errorf("%s: %v, want %v\n%s%s", component, has, want, r.stdout, r.stderr)
			}
		}
	})
	t.Run("a change is a release", func(t *testing.T) {
		if r := tryInput(t, canary+"2\n", "secret", "set", "ledger", "LEDGER_KEY", "--from-file", "-"); r.exit != 0 || strings.Contains(r.stdout+r.stderr, canary) {
			t.Errorf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		if r := try(t, "env", "set", "ledger", "GREETING=hello"); r.exit != 0 {
			t.Errorf("exit %d\n%s", r.exit, r.stderr)
		}
		if out := hks(t, "env", "list", "ledger"); !strings.Contains(out, "LEDGER_KEY") || !strings.Contains(out, "GREETING") || strings.Contains(out, "hello") {
			t.Errorf("the list:\n%s", out)
		}
		if app := show(t, "ledger"); app.Release != 3 || app.Status != agent.AppRunning {
			t.Errorf("release %d is %s", app.Release, app.Status)
		}
	})
	t.Run("it is nowhere else", func(t *testing.T) {
		places := map[string]string{
			"app":      hks(t, "app", "show", "ledger", "--json"),
			"releases": hks(t, "releases", "ledger", "--json"),
			"builds":   hks(t, "build", "list", "ledger", "--json"),
			"activity": hks(t, "activity", "--json"),
			"logs":     hks(t, "logs", "ledger"),
		}
		objects, err := kubectl(t, "get", "deployments,replicasets,pods,jobs,events,configmaps", "--namespace", workspace, "--output", "yaml")
		if err != nil {
			t.Fatal(err)
		}
		places["objects of the cluster"] = objects
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob("/var/log/hks/*")
		if err != nil {
			t.Fatal(err)
		}
		databases, err := filepath.Glob("/var/lib/hks/hks.db*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append(append(commands, files...), databases...) {
			if data, err := os.ReadFile(file); err == nil { // a process may be gone
				places[file] = string(data)
			}
		}
		for place, text := range places {
			if strings.Contains(text, canary) {
				t.Errorf("the value is in %s", place)
			}
		}
	})
}

// TestA17ReleaseCommand runs a command once before a new release serves; one
// that fails keeps the old release.
func TestA17ReleaseCommand(t *testing.T) {
	file := strings.Replace(strings.Replace(ledger, "app: ledger", "app: books", 1), "    secrets: [LEDGER_KEY]\n", "", 1)
	remove(t, "books")
	hks(t, "deploy", "--source", projectFile(t, strings.Replace(file, "RELEASE", "0", 1)))
	r := try(t, "deploy", "--source", projectFile(t, strings.Replace(file, "RELEASE", "7", 1)))
	if r.exit != 1 || !strings.Contains(r.stderr, "exit code 7") || !strings.Contains(r.stderr, "page: leaving with 7") {
		t.Errorf("exit %d\n%s", r.exit, r.stderr)
	}
	app := show(t, "books")
	if app.Release != 1 || app.Ready != 2 {
		t.Errorf("release %d with %d ready instances", app.Release, app.Ready)
	}
	t.Run("a component that is gone from the file goes", func(t *testing.T) {
		alone := strings.Replace(file[:strings.Index(file, "  worker:")], "    release: [/app, exit, \"RELEASE\"]\n", "", 1)
		hks(t, "deploy", "--source", projectFile(t, alone))
		out, err := kubectl(t, "get", "deployments", "--namespace", workspace, "--selector", "hks.dev/app=books", "--output", "name")
		if err != nil || strings.Contains(out, "worker") || !strings.Contains(out, "books-staging-web") {
			t.Errorf("left: %s (%v)", out, err)
		}
	})
}
