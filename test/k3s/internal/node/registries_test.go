package node

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestHostsTOML(t *testing.T) {
	r := &registries{}
	if err := yaml.Unmarshal([]byte(`
mirrors:
  docker.io: {endpoint: ["https://127.0.0.1:5000", "http://mirror:80/path/v2"]}
configs:
  "127.0.0.1:5000": {auth: {username: u, password: p}, tls: {ca_file: /ca.crt}}
`), r); err != nil {
		t.Fatal(err)
	}
	text, err := r.hostsTOML("docker.io")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`server = "https://registry-1.docker.io"`,
		"[host.\"https://127.0.0.1:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = [\"/ca.crt\"]\n",
		"[host.\"http://mirror:80/path/v2\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if a := r.auths(); len(a) != 1 || a[0].Host != "127.0.0.1:5000" || a[0].Username != "u" {
		t.Errorf("auths: %+v", a)
	}
}
