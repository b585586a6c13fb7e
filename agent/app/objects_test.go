package app

import (
	"bytes"
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
	release := func(n int, spec agent.Spec) store.AppRelease {
		return store.AppRelease{Release: agent.Release{App: "web", Environment: agent.Staging, Number: n, Spec: spec}, Pull: "registry.hks.internal/web@" + digestOf('a')}
	}
	tests := map[string]desired{
		"least": {
			key: key{"web", agent.Staging}, namespace: testNamespace, podLevel: restricted, host: "web-staging.localhost", replicas: 1, deadline: 2 * time.Minute,
			release: release(1, agent.Spec{Image: "web:1", Port: 8080, CPU: defaultCPU, Memory: defaultMemory, Path: "/"}),
		},
		"most": {
			key: key{"web", agent.Production}, namespace: testNamespace, podLevel: "baseline", host: "www.example.com", replicas: 3, deadline: time.Minute,
			restartedAt: noon,
			release: release(12, agent.Spec{Image: "web:1", Port: 3000, CPU: "2", Memory: "1Gi", Path: "/api", Health: "/healthz", Host: "www.example.com",
				Command: []string{"/serve", "--fast"}, Env: map[string]string{"KEY": "value", "PORT": "3001"}}),
		},
	}
	for name, d := range tests {
		t.Run(name, func(t *testing.T) {
			var all bytes.Buffer
			objects := []any{d.service(), d.ingress(), d.deployment()}
			if s := d.secret(); s != nil {
				objects = append(objects, s)
			}
			if b := d.budget(); b != nil {
				objects = append(objects, b)
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
