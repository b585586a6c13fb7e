package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// fill puts values in place of a path's parameters.
func fill(path string) string {
	return strings.NewReplacer(":app", "web", ":env", "staging", ":number", "1", ":id", "abc", ":node", "prod-1", ":file", "k3s", ":host", "www.example.com", ":service", "db", ":chart", "postgresql", ":backup", "1", ":job", "1").Replace(path)
}

func TestEveryRouteHasARule(t *testing.T) {
	a := newAppliance(t)
	table := map[string]route{}
	for _, r := range a.routes() {
		key := r.method + " " + r.path
		if _, twice := table[key]; twice {
			t.Errorf("%s is in the table twice", key)
		}
		if r.access == denied {
			t.Errorf("%s has no authorisation rule", key)
		}
		table[key] = r
	}
	for _, info := range a.engine.Routes() {
		if _, ok := table[info.Method+" "+info.Path]; !ok {
			t.Errorf("the engine serves %s %s, which is not in the table", info.Method, info.Path)
		}
	}
	if len(table) != len(a.engine.Routes()) {
		t.Errorf("the table has %d routes, the engine %d", len(table), len(a.engine.Routes()))
	}
}

// TestPublicRoutes holds the short list of what anyone may do.
func TestPublicRoutes(t *testing.T) {
	want := map[string]bool{
		"GET /healthz": true, "GET /api/info": true, "GET /ca.crt": true, "GET /api/setup": true, "POST /api/setup": true,
		"POST /api/login": true, "POST /api/tokens/login": true, "POST /api/hooks/github/:name": true, "GET /join.sh": true,
		"GET /api/github/app/new": true, "GET /api/github/app/callback": true, // by a state that nobody else knows
	}
	for _, r := range newAppliance(t).routes() {
		if key := r.method + " " + r.path; (r.access == public) != want[key] {
			t.Errorf("%s: public is %v", key, r.access == public)
		}
	}
}

func TestRoutesRefuseWhoIsNotLoggedIn(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	forged := map[string]request{
		"nothing":         {},
		"forged cookie":   {cookie: newSecret()},
		"long cookie":     {cookie: strings.Repeat("a", 5000)},
		"forged token":    {bearer: tokenPrefix + newSecret()},
		"not our token":   {bearer: "eyJhbGciOiJub25lIn0.e30."},
		"another scheme":  {header: map[string]string{"Authorization": "Basic b3duZXI6b3duZXI="}},
		"claims to be us": {header: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "Forwarded": "for=unix"}},
	}
	for _, r := range a.routes() {
		if r.access == public {
			continue
		}
		for name, credential := range forged {
			credential.method, credential.path = r.method, fill(r.path)
			if got := a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, credential); got.Code != agent.CodeUnauthorized {
				t.Errorf("%s %s lets in: %s", r.method, r.path, name)
			}
		}
	}
	if calls := a.apps.calls; len(calls) != 0 {
		t.Errorf("the apps were reached: %v", calls)
	}
}

func TestRoutesOfTheSocketRefuseTheOwner(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, r := range a.routes() {
		if r.access == socketOnly {
			a.refuse(http.StatusForbidden, agent.CodeForbidden, request{method: r.method, path: fill(r.path), cookie: cookie})
		}
	}
}

func TestARouteWithoutARuleLetsNobodyIn(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	var zero route
	a.engine.GET("/api/forgotten", guard(a.admit(zero.access)), func(c *gin.Context) { c.Status(http.StatusOK) })
	a.refuse(http.StatusForbidden, agent.CodeForbidden, request{path: "/api/forgotten", cookie: cookie})
	a.refuse(http.StatusForbidden, agent.CodeForbidden, request{path: "/api/forgotten", local: true})
}

func TestEveryCodeHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes++
		if statuses[agent.Code(code)] < 400 {
			t.Errorf("%s has no status", code)
		}
		return true
	})
	if codes == 0 || codes != len(statuses) {
		t.Errorf("%d codes, %d statuses", codes, len(statuses))
	}
}

func TestCodesOfTheAPI(t *testing.T) {
	for code, want := range map[agent.Code]int{
		agent.CodePlanLimit: 403, agent.CodeQuotaStorage: 422, agent.CodeUnauthorized: 401, agent.CodeTooMany: 429, agent.CodeNoSpace: 507,
	} {
		if statuses[code] != want {
			t.Errorf("%s is %d, want %d", code, statuses[code], want)
		}
	}
}
