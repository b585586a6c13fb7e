// Package arch holds the shape of the code: which package may import which.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "hks.dev/hks"

// floors lists every package of the product, lowest first. A package imports
// lower floors only, never sideways; a package that is missing here fails the
// test, so that it gets its place on purpose.
var floors = [][]string{
	{"agent", "agent/client", "agent/aiops/detect", "ui", "charts"},
	{
		"agent/store", "agent/kube", "agent/helm", "agent/k3s", "agent/systemd", "agent/process", "agent/hosts",
		"agent/github", "agent/git", "agent/registry", "agent/buildkit", "agent/cgroup", "agent/disk", "agent/slack", "agent/s3", "agent/config", "agent/manifest",
		"agent/webhook", "agent/mail", "agent/chart", "agent/llm", "agent/archive", "agent/update", "agent/machine",
	},
	{
		"agent/workspace", "agent/plan", "agent/app", "agent/domain", "agent/market", "agent/pipeline", "agent/build",
		"agent/function", "agent/schedule", "agent/aiops", "agent/node", "agent/backup", "agent/volume",
	},
	{"agent/api"},
	{"agent/daemon"},
	{"cmd/hks", "cmd/hks/cli", "cmd/hks-agent", "cmd/hks-gateway", "cmd/hks-installer", "packaging/bundle", "packaging/manual"},
}

// allowed are imports within one floor that are part of the design: the
// vocabulary serves everyone, a main has its own command tree.
var allowed = map[string][]string{
	"agent/client":     {"agent"},
	"cmd/hks":          {"cmd/hks/cli"},
	"packaging/manual": {"cmd/hks/cli"},
}

// vocabulary and settings may be imported from anywhere above floor 0.
var everywhere = []string{"agent", "agent/config"}

// beside stands next to the floors: it may use floors 0 and 1 only, and only
// the mains named may use it.
var beside = map[string][]string{
	"agent/gateway": {"cmd/hks-gateway"},
	"installer":     {"cmd/hks-installer", "packaging/bundle", "packaging/manual"},
}

// only names third-party modules that one package, or a few, may import.
var only = map[string][]string{
	"github.com/gin-gonic/gin":                {"agent/api"},
	"github.com/coder/websocket":              {"agent/api", "agent/client"},
	"github.com/mattn/go-sqlite3":             {"agent/store"},
	"github.com/robfig/cron":                  {"agent/schedule"},
	"github.com/caddyserver/caddy":            {"agent/gateway"},
	"github.com/caddyserver/certmagic":        {"agent/gateway"},
	"github.com/distribution/distribution":    {"agent/registry"},
	"github.com/moby/buildkit":                {"agent/buildkit"},
	"github.com/minio/minio-go":               {"agent/s3"},
	"helm.sh/helm":                            {"agent/helm"},
	"filippo.io/age":                          {"agent/archive"},
	"github.com/sashabaranov/go-openai":       {"agent/llm"},
	"github.com/google/go-github":             {"agent/github"},
	"github.com/bradleyfalzon/ghinstallation": {"agent/github"},
	"github.com/slack-go/slack":               {"agent/slack"},
	"github.com/wneessen/go-mail":             {"agent/mail"},
	"github.com/go-analyze/charts":            {"agent/chart"},
	"github.com/spf13/cobra":                  {"cmd/hks", "cmd/hks/cli", "installer", "packaging/manual"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if !strings.HasPrefix(name, "test/") {
			all[name] = p
		}
	}
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, name) })
}

func TestFloors(t *testing.T) {
	for name, p := range packages(t) {
		if _, ok := beside[name]; !ok && floorOf(name) < 0 {
			t.Errorf("%s has no floor: give it one here, or move it", name)
			continue
		}
		for _, imported := range p.Imports {
			if target, ours := strings.CutPrefix(imported, module+"/"); ours {
				if reason := refused(name, target); reason != "" {
					t.Errorf("%s imports %s: %s", name, target, reason)
				}
			}
		}
	}
}

// refused says why name may not import target; "" when it may.
func refused(name, target string) string {
	if slices.Contains(allowed[name], target) {
		return ""
	}
	if users, ok := beside[target]; ok {
		if slices.Contains(users, name) {
			return ""
		}
		return "it stands beside the floors, for its own main only"
	}
	if _, ok := beside[name]; ok {
		if floorOf(target) <= 1 {
			return ""
		}
		return "beside the floors only floors 0 and 1 may be used"
	}
	if slices.Contains(everywhere, target) && floorOf(name) > 0 {
		return ""
	}
	if floorOf(target) >= floorOf(name) {
		return "not a lower floor"
	}
	return ""
}

func TestThirdPartyStaysInItsPlace(t *testing.T) {
	for name, p := range packages(t) {
		for _, imported := range p.Imports {
			for module, users := range only {
				if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(users, name) {
					t.Errorf("%s imports %s, which belongs to %s", name, imported, strings.Join(users, ", "))
				}
			}
		}
	}
}

func TestCommandLineHasNoKubernetes(t *testing.T) {
	for _, dep := range packages(t)["cmd/hks"].Deps {
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "github.com/gin-gonic/") {
			t.Errorf("cmd/hks depends on %s", dep)
		}
	}
}

// webSocket is the one module that floor 0 uses: it depends on nothing itself.
const webSocket = "github.com/coder/websocket"

func TestVocabularyIsStandardLibraryOnly(t *testing.T) {
	for _, name := range []string{"agent", "agent/client", "agent/aiops/detect", "ui", "charts"} {
		for _, dep := range packages(t)[name].Imports {
			if name == "agent/client" && dep == webSocket {
				continue
			}
			if strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") && !strings.HasPrefix(dep, module+"/") {
				t.Errorf("%s imports %s: floor 0 has the standard library only", name, dep)
			}
		}
	}
}
