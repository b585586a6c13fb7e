package store

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"hks.dev/hks/agent"
)

// flatDatabase is what a version wrote that knew one image an app.
func flatDatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hks.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	run := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"0001_identity", "0002_workspace", "0003_app"} {
		text, err := migrations.ReadFile("migrations/" + name + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		run(string(text))
	}
	run(`PRAGMA user_version = 3`)
	seal, err := newSealer(slices.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	release := func(number int, spec, env, digest, pull, status, failure string) {
		t.Helper()
		label := envLabel(agent.Release{App: "web", Environment: agent.Staging, Number: number})
		run(`INSERT INTO release (app, environment, number, spec, env, digest, pull, kind, by_whom, status, failure, created_at)
			VALUES ('web', 'staging', ?, ?, ?, ?, ?, 'deploy', 'owner', ?, ?, 1000)`, number, spec, seal.seal(label, []byte(env)), digest, pull, status, failure)
	}
	run(`INSERT INTO app (name, environment, desired, replicas, serving, created_at, updated_at) VALUES ('web', 'staging', 'running', 3, 2, 1000, 2000)`)
	release(1, `{"image":"web:1","port":8080,"cpu":"500m","memory":"256Mi","path":"/"}`, `null`, "", "docker.io/library/web:1", "succeeded", "")
	release(2, `{"image":"web:2","port":9090,"env":{"KEY":"••••••","E":"••••••"},"command":["/serve","--fast"],"cpu":"2","memory":"1Gi","host":"www.example.com","path":"/api","health":"/healthz"}`,
		`{"KEY":"canary","E":""}`, "sha256:aa", "registry.hks.internal/web@sha256:aa", "succeeded", "")
	release(3, `{"image":"web:3","port":9090,"env":{},"path":"/"}`, `{}`, "", "", "failed", `{"code":"IMAGE_PULL","message":"not found"}`)
	release(4, `{"image":"web:4","port":9090,"path":"/"}`, `null`, "", "", "pending", "")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnAppOfBeforeHasOneComponent(t *testing.T) {
	s := openAt(t, flatDatabase(t), nil)
	state, ok, err := s.App(t.Context(), "web", agent.Staging)
	if err != nil || !ok || state.Replicas("app") != agent.Fixed(3) || len(state.Scale) != 1 || state.Serving != 2 || state.Newest.Number != 4 || state.Current.Number != 2 {
		t.Fatalf("%+v, %v, %v", state, ok, err)
	}
	tests := map[int]struct {
		component agent.Component
		env       map[string]string
		image     Image
		status    agent.ReleaseStatus
	}{
		1: {agent.Component{Name: "app", Image: "web:1", Port: 8080, CPU: "500m", Memory: "256Mi", Path: "/"}, nil, Image{Pull: "docker.io/library/web:1"}, agent.ReleaseSucceeded},
		2: {agent.Component{Name: "app", Image: "web:2", Port: 9090, CPU: "2", Memory: "1Gi", Path: "/api", Host: "www.example.com", Health: "/healthz"},
			map[string]string{"KEY": "canary", "E": ""}, Image{Pull: "registry.hks.internal/web@sha256:aa", Digest: "sha256:aa"}, agent.ReleaseSucceeded},
		3: {agent.Component{Name: "app", Image: "web:3", Port: 9090, Path: "/"}, map[string]string{}, Image{}, agent.ReleaseFailed},
		4: {agent.Component{Name: "app", Image: "web:4", Port: 9090, Path: "/"}, nil, Image{}, agent.ReleasePending},
	}
	for number, want := range tests {
		r, ok, err := s.OpenRelease(t.Context(), "web", agent.Staging, number)
		if err != nil || !ok || len(r.Spec.Components) != 1 {
			t.Errorf("release %d: %+v, %v, %v", number, r, ok, err)
			continue
		}
		c := r.Spec.Components[0]
		if number == 2 && !slices.Equal(c.Command, []string{"/serve", "--fast"}) {
			t.Errorf("command %q", c.Command)
		}
		if c.Image != want.component.Image || c.Name != "app" || c.Port != want.component.Port || c.CPU != want.component.CPU || c.Memory != want.component.Memory ||
			c.Path != want.component.Path || c.Host != want.component.Host || c.Health != want.component.Health || c.Env != nil {
			t.Errorf("release %d: component %+v, want %+v", number, c, want.component)
		}
		if !maps.Equal(r.Spec.Env, want.env) || (r.Spec.Env == nil) != (want.env == nil) {
			t.Errorf("release %d: environment %v, want %v", number, r.Spec.Env, want.env)
		}
		if r.Images["app"] != want.image || r.Digests["app"] != want.image.Digest || r.Status != want.status {
			t.Errorf("release %d: %+v, %s", number, r.Images, r.Status)
		}
		shown, _, err := s.Release(t.Context(), "web", agent.Staging, number)
		if err != nil || len(shown.Spec.Env) != len(want.env) {
			t.Errorf("release %d shows %v, %v", number, shown.Spec.Env, err)
		}
	}

	// The unfinished release goes its way.
	if err := s.PinImage(t.Context(), "web", agent.Staging, 4, "app", Image{Pull: "web@sha256:bb", Digest: "sha256:bb"}); err != nil {
		t.Fatal(err)
	}
	finishRelease(t, s, 4, nil)
	if state, _, err := s.App(t.Context(), "web", agent.Staging); err != nil || state.Current.Digests["app"] != "sha256:bb" {
		t.Errorf("%+v, %v", state.Current, err)
	}
	if again := addRelease(t, s, newRelease("web:5", nil), nil); again.Number != 5 {
		t.Errorf("the next release is %d", again.Number)
	}
}

func TestImagesAndScaleAreOfAComponent(t *testing.T) {
	s := openAppStore(t)
	r := newRelease("web:1", nil)
	r.Spec.Components = append(r.Spec.Components, agent.Component{Name: "worker", Image: "work:1"})
	r.Images = map[string]Image{"app": {Pull: "web@sha256:aa", Digest: "sha256:aa"}}
	added := addRelease(t, s, r, map[string]agent.Scale{"worker": agent.Fixed(2)})
	if added.Digests["app"] != "sha256:aa" || len(added.Digests) != 1 {
		t.Errorf("accepted: %v", added.Digests)
	}
	for _, image := range []Image{{Pull: "work:1"}, {Pull: "work:1", Digest: "sha256:bb"}} { // resolved, then learned
		if err := s.PinImage(t.Context(), "web", agent.Staging, 1, "worker", image); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ScaleApp(t.Context(), "web", agent.Staging, map[string]agent.Scale{"app": agent.Fixed(4)}); err != nil {
		t.Fatal(err)
	}
	state, _, err := s.App(t.Context(), "web", agent.Staging)
	if err != nil || !maps.Equal(state.Newest.Digests, map[string]string{"app": "sha256:aa", "worker": "sha256:bb"}) || state.Newest.Images["worker"].Pull != "work:1" {
		t.Errorf("images: %v, %v", state.Newest.Images, err)
	}
	if state.Replicas("app") != agent.Fixed(4) || state.Replicas("worker") != agent.Fixed(2) || state.Replicas("other") != agent.Fixed(1) {
		t.Errorf("scale: %v", state.Scale)
	}
}
