package api

import (
	"net/http"
	"testing"

	"hks.dev/hks/agent"
)

func TestPruneAndDeleteImages(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for path, dryRun := range map[string]bool{
		"/api/images/prune": false, "/api/images/prune?dryRun=true": true, "/api/images/prune?dryRun": true, "/api/images/prune?dryRun=false": false,
	} {
		done := decodeAs[agent.ImagePrune](t, a.want(http.StatusOK, request{method: "POST", path: path, cookie: cookie}))
		if done.DryRun != dryRun || len(done.Removed) != 1 || done.Removed[0].Name != "old:1 for owner" {
			t.Errorf("%s: %+v", path, done)
		}
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/images/prune?dryRun=perhaps", cookie: cookie})

	done := decodeAs[agent.ImagePrune](t, a.want(http.StatusOK, request{method: "DELETE", path: "/api/images/team/web:2", cookie: cookie}))
	if len(done.Removed) != 1 || done.Removed[0].Name != "team/web:2 for owner" {
		t.Errorf("%+v", done)
	}
	a.refuse(http.StatusConflict, agent.CodeConflict, request{method: "DELETE", path: "/api/images/web:1", cookie: cookie})
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "DELETE", path: "/api/images/", cookie: cookie})

	usage := decodeAs[agent.ImageUsage](t, a.want(http.StatusOK, request{path: "/api/images/usage", cookie: cookie}))
	if usage.UsedBytes != 1<<30 || usage.BudgetBytes != 20<<30 {
		t.Errorf("%+v", usage)
	}
}
