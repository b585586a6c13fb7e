package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// fakePlans is the plan hobby, which can become any other.
type fakePlans struct{}

func (fakePlans) Show(context.Context) (agent.PlanState, error) {
	return agent.PlanState{Plan: agent.Plan{Name: "hobby"}, Usage: []agent.PlanUsage{}}, nil
}

func (fakePlans) Change(_ context.Context, name, by string) (agent.PlanState, error) {
	if by == "" {
		return agent.PlanState{}, agent.Errorf(agent.CodeForbidden, "", "nobody asks")
	}
	return agent.PlanState{Plan: agent.Plan{Name: name}, Applying: true, Usage: []agent.PlanUsage{}}, nil
}

func TestA88PlanIsShownAndChanged(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	if answer := a.do(request{path: "/api/plan", cookie: cookie}); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "hobby") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	answer := a.do(request{method: http.MethodPost, path: "/api/plan", body: `{"plan":"pro"}`, cookie: cookie})
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"applying":true`) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
