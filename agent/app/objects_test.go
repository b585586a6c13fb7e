package app

import (
	"bytes"
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestObjectsAreAsInTheGoldenFiles(t *testing.T) {
	release := func(n int, env map[string]string, components ...agent.Component) store.AppRelease {
		r := store.AppRelease{Release: agent.Release{App: "web", Environment: agent.Staging, Number: n, Spec: agent.Spec{Components: components, Env: env}}, Images: map[string]store.Image{}}
		for i, c := range components {
			r.Images[c.Name] = store.Image{Pull: "registry.hks.internal/" + c.Name + "@" + digestOf('a'+byte(i))}
		}
		return r
	}
	host := func(c agent.Component) string { return cmp.Or(c.Host, "web-staging.localhost") }
	tests := map[string]desired{
		"least": {
			key: key{"web", agent.Staging}, namespace: testNamespace, podLevel: restricted, host: host, scale: map[string]agent.Scale{"app": agent.Fixed(1)}, deadline: 2 * time.Minute,
			release: release(1, nil, agent.Component{Name: "app", Image: "web:1", Port: 8080, CPU: defaultCPU, Memory: defaultMemory, Path: "/"}),
		},
		"most": {
			key: key{"web", agent.Production}, namespace: testNamespace, podLevel: "baseline", host: host, scale: map[string]agent.Scale{"app": agent.Fixed(3)}, deadline: time.Minute,
			restartedAt: noon,
			release: release(12, map[string]string{"KEY": "value", "PORT": "3001"}, agent.Component{Name: "app", Image: "web:1", Port: 3000, CPU: "2", Memory: "1Gi", Path: "/api",
				Health: "/healthz", Host: "www.example.com", Command: []string{"/serve", "--fast"}}),
		},
		"fullstack": {
			key: key{"shop", agent.Staging}, namespace: testNamespace, podLevel: restricted, host: host, scale: map[string]agent.Scale{"api": {Min: 1, Max: 4, CPU: 70}, "web": agent.Fixed(1), "worker": agent.Fixed(1)}, deadline: 2 * time.Minute,
			release: release(4, map[string]string{"DATABASE_URL": "postgres://shop", "REGION": "north"},
				agent.Component{Name: "api", Image: "api:4", Port: 8080, CPU: defaultCPU, Memory: defaultMemory, Path: "/api", Health: "/api/health",
					Env: map[string]string{"LOG": "info"}, Secrets: []string{"DATABASE_URL"}, Release: []string{"./migrate", "up"}},
				agent.Component{Name: "web", Image: "web:4", Port: 3000, CPU: defaultCPU, Memory: defaultMemory, Path: "/"},
				agent.Component{Name: "worker", Image: "api:4", CPU: "250m", Memory: "128Mi", Command: []string{"./work"}, Secrets: []string{"DATABASE_URL"}}),
		},
	}
	for name, d := range tests {
		t.Run(name, func(t *testing.T) {
			var all bytes.Buffer
			objects := []any{d.ingress()}
			if s := d.secret(); s != nil {
				objects = append(objects, s)
			}
			for _, p := range d.parts() {
				objects = append(objects, p.deployment())
				if s := p.service(); s != nil {
					objects = append(objects, s)
				}
				if b := p.budget(); b != nil {
					objects = append(objects, b)
				}
				if a := p.autoscaler(); a != nil {
					objects = append(objects, a)
				}
				if len(p.component.Release) > 0 {
					objects = append(objects, p.task())
				}
			}
			for _, o := range objects {
				text, err := yaml.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				all.WriteString("---\n")
				all.Write(text)
			}
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, all.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(all.Bytes(), want) {
				t.Errorf("differs from %s; look at it, then: go test -run Golden -update\n%s", file, all.Bytes())
			}
		})
	}
}

func TestPinned(t *testing.T) {
	tests := []struct{ ref, digest, want string }{
		{"registry.hks.internal/web:1", digestOf('a'), "registry.hks.internal/web@" + digestOf('a')},
		{"ghcr.io/o/web", digestOf('a'), "ghcr.io/o/web@" + digestOf('a')},
		{"localhost:5000/web:1", digestOf('a'), "localhost:5000/web@" + digestOf('a')},
		{"web@" + digestOf('b'), digestOf('a'), "web@" + digestOf('b')},
		{"web:1", "", "web:1"},
	}
	for _, tt := range tests {
		if got := pinned(tt.ref, tt.digest); got != tt.want {
			t.Errorf("pinned(%s) is %s, want %s", tt.ref, got, tt.want)
		}
	}
}
