package cluster

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// project copies a sample, so that a test may change it.
func project(t *testing.T, sample string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), sample)
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("..", "samples", sample))); err != nil {
		t.Fatal(err)
	}
	return folder
}

// change replaces text in a file of a project.
func change(t *testing.T, file, from, to string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), from, to, 1)
	if changed == string(data) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

func TestA11ProjectIsBuiltFromSourceAndServes(t *testing.T) {
	folder := project(t, "shop")
	remove(t, "shop")
	client := browser(t)
	var url string
	t.Run("its tests run, its images are built, one URL serves both", func(t *testing.T) {
		begin := time.Now()
		r := try(t, "deploy", "--source", folder, "--test")
		if r.exit != 0 {
			t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		t.Logf("from source to serving in %s", time.Since(begin).Round(time.Second))
		url = lastLine(r.stdout)
		page, _ := get(t, client, url+"/")
		if !strings.Contains(page, `<div id="root">`) {
			t.Errorf("the frontend's page: %.300s", page)
		}
		if items, response := get(t, client, url+"/api/items"); response.StatusCode != http.StatusOK || !strings.Contains(items, `"items"`) {
			t.Errorf("the backend through the same URL: %s %.300s", response.Status, items)
		}
		if page, _ := get(t, client, url+"/some/place"); !strings.Contains(page, `<div id="root">`) {
			t.Errorf("a place of the page's own: %.300s", page)
		}
	})
	if t.Failed() {
		return
	}
	t.Run("a browser shows what the API gave", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", "shop.js")
		cmd.Dir = filepath.Join("..", "browser")
		cmd.Env = append(os.Environ(), "HKS_APP_URL="+url)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the build and both components are shown", func(t *testing.T) {
		builds := ask[[]agent.Build](t, "build", "list", "shop")
		if len(builds) != 1 || builds[0].Status != agent.RunSucceeded || builds[0].Release != 1 || len(builds[0].Components) != 2 || !builds[0].Components[0].Tested {
			t.Errorf("got %+v", builds)
		}
		app := show(t, "shop")
		if len(app.Components) != 2 || app.Ready != 2 || app.Components[0].Digest == "" || app.Components[0].URL != url+"/api" {
			t.Errorf("got %+v", app)
		}
	})
	t.Run("an unchanged project is built from the cache", func(t *testing.T) {
		begin := time.Now()
		hks(t, "deploy", "--source", folder)
		t.Logf("deployed again in %s", time.Since(begin).Round(10*time.Millisecond))
	})
	t.Run("A32 a failing test stops it, and the release before serves", func(t *testing.T) {
		change(t, filepath.Join(folder, "backend", "catalogue.js"), "export", "throw new Error('broken on purpose')\nexport")
		before := show(t, "shop").Release
		r := try(t, "deploy", "--source", folder, "--test")
		if r.exit != 1 || !strings.Contains(r.stderr, "broken on purpose") || !strings.Contains(r.stderr, "fix: ") {
			t.Errorf("exit %d\n%s", r.exit, r.stderr)
		}
		if app := show(t, "shop"); app.Release != before || app.Status != agent.AppRunning {
			t.Errorf("release %d is %s", app.Release, app.Status)
		}
	})
	t.Run("A18 a rollback needs no build", func(t *testing.T) {
		begin := time.Now()
		hks(t, "rollback", "shop", "1")
		t.Logf("rolled back in %s", time.Since(begin).Round(10*time.Millisecond))
		if builds := ask[[]agent.Build](t, "build", "list", "shop"); len(builds) != 3 {
			t.Errorf("there are %d builds", len(builds))
		}
	})
	t.Run("A39 it is promoted by digest", func(t *testing.T) {
		out := hks(t, "promote", "shop")
		remove(t, "shop/production")
		if page, _ := get(t, client, lastLine(out)+"/api/items"); !strings.Contains(page, `"items"`) {
			t.Errorf("production: %.300s", page)
		}
		staging, production := show(t, "shop"), ask[agent.App](t, "app", "show", "shop/production")
		if staging.Components[0].Digest != production.Components[0].Digest || production.Release != 1 {
			t.Errorf("staging has %s, production %s", staging.Components[0].Digest, production.Components[0].Digest)
		}
	})
}

// TestA11ProjectsWithoutAFile builds what is found in a folder.
func TestA11ProjectsWithoutAFile(t *testing.T) {
	for _, sample := range []string{"hello-go", "hello-python", "hello-dockerfile"} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel() // two are built at a time
			folder := project(t, sample)
			remove(t, sample)
			r := try(t, "deploy", "--source", folder, "--name", sample)
			if r.exit != 0 {
				t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
			}
			if page, response := get(t, browser(t), lastLine(r.stdout)); response.StatusCode != http.StatusOK {
				t.Errorf("%s: %.300s", response.Status, page)
			}
		})
	}
}

func TestA34BrokenSourceIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		sample string
		spoil  func(t *testing.T, folder string)
		want   []string
	}{
		"a recipe with a mistake": {"hello-dockerfile", func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "Dockerfile"), "FROM registry.hks.internal/hks/base:13\nRUM true\n")
		}, []string{"line 2", "RUM"}},
		"a base image that nobody has": {"hello-dockerfile", func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "Dockerfile"), "FROM registry.hks.internal/hks/nothing:1\n")
		}, []string{"hks/nothing:1", "hks/node:24"}},
		"a step that fails": {"hello-dockerfile", func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "Dockerfile"), "FROM registry.hks.internal/hks/base:13\nRUN ls /nothing-there\n")
		}, []string{"nothing-there", "exit code 2"}},
		"a source that does not compile": {"hello-go", func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "broken.go"), "package main\n\nfunc broken( {\n")
		}, []string{"broken.go:3"}},
		"a link out of the folder": {"hello-go", func(t *testing.T, folder string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(folder, "passwords")); err != nil {
				t.Fatal(err)
			}
		}, []string{"passwords"}},
		"a project file with a mistake": {"hello-go", func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "hks.yaml"), "app: x\ncomponents:\n  web:\n    build: .\n    prot: 80\n")
		}, []string{"hks.yaml:5:5", "did you mean `port`?"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := project(t, tt.sample)
			tt.spoil(t, folder)
			r := try(t, "deploy", "--source", folder, "--name", "spoiled")
			if r.exit == 0 {
				t.Fatalf("it went through:\n%s", r.stdout)
			}
			for _, want := range append(tt.want, "fix: ") {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("no %q in:\n%s", want, r.stderr)
				}
			}
			if r := try(t, "app", "show", "spoiled"); r.exit == 0 {
				t.Errorf("an app was made:\n%s", r.stdout)
			}
		})
	}
}

func TestA34CancelStopsABuild(t *testing.T) {
	folder := project(t, "hello-dockerfile")
	write(t, filepath.Join(folder, "Dockerfile"), "FROM registry.hks.internal/hks/base:13\nRUN echo begun && sleep 600\n")
	build := ask[agent.Build](t, "deploy", "--source", folder, "--name", "slow", "--no-wait")
	eventually(t, time.Minute, func() string {
		if b := ask[agent.Build](t, "build", "show", itoa(build.ID)); b.Status != agent.RunRunning {
			return string(b.Status)
		}
		if r := try(t, "build", "logs", itoa(build.ID)); !strings.Contains(r.stderr, "begun") {
			return "not begun: " + r.stderr
		}
		return ""
	})
	hks(t, "build", "cancel", itoa(build.ID))
	eventually(t, 5*time.Second, func() string {
		if out, err := exec.CommandContext(t.Context(), "pgrep", "-f", "sleep 600").Output(); err == nil {
			return "it still runs: " + string(out)
		}
		return ""
	})
	if b := ask[agent.Build](t, "build", "show", itoa(build.ID)); b.Status != agent.RunCancelled {
		t.Errorf("it is %s", b.Status)
	}
}
