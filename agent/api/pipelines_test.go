package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// fakePipelines has one pipeline, web, with one run, 7.
type fakePipelines struct{}

func (fakePipelines) Connect(_ context.Context, request agent.GitHubConnect, _ string) (agent.GitHub, error) {
	return agent.GitHub{Connected: true, URL: request.URL}, nil
}
func (fakePipelines) Connection(context.Context) (agent.GitHub, error) { return agent.GitHub{}, nil }
func (fakePipelines) Disconnect(context.Context, string) error         { return nil }
func (fakePipelines) Repositories(context.Context) ([]agent.GitRepository, error) {
	return nil, nil
}
func (fakePipelines) Create(_ context.Context, p agent.Pipeline, _ string) (agent.Pipeline, error) {
	return p, nil
}
func (fakePipelines) Edit(_ context.Context, p agent.Pipeline, _ string) (agent.Pipeline, error) {
	return p, nil
}
func (fakePipelines) List(context.Context) ([]agent.Pipeline, error) { return nil, nil }
func (fakePipelines) Get(_ context.Context, name string) (agent.Pipeline, error) {
	return agent.Pipeline{Name: name}, nil
}
func (fakePipelines) Delete(context.Context, string, string) error { return nil }
func (fakePipelines) Trigger(context.Context, string, string) (agent.Run, error) {
	return agent.Run{ID: 7}, nil
}
func (f fakePipelines) Rerun(ctx context.Context, id int64, _ bool, _ string) (agent.Run, error) {
	return f.Run(ctx, id)
}
func (f fakePipelines) Approve(ctx context.Context, id int64, _ string) (agent.Run, error) {
	return f.Run(ctx, id)
}
func (fakePipelines) Tests(context.Context, int64) ([]agent.TestCase, error) {
	return []agent.TestCase{{Name: "adds", Outcome: agent.TestPassed}}, nil
}
func (fakePipelines) Permissions(context.Context, string) ([]agent.GitPermission, error) {
	return nil, nil
}
func (fakePipelines) Previews(context.Context) ([]agent.Preview, error) { return nil, nil }
func (fakePipelines) SetEnv(_ context.Context, name string, _ agent.PipelineEnv, _ string) (agent.Pipeline, error) {
	return agent.Pipeline{Name: name}, nil
}
func (fakePipelines) StartApp(context.Context, agent.GitHubAppStart, string) (agent.GitHubAppForm, error) {
	return agent.GitHubAppForm{}, nil
}
func (fakePipelines) AppForm(_ context.Context, state string) (agent.GitHubAppForm, error) {
	if state != "good" {
		return agent.GitHubAppForm{}, agent.Errorf(agent.CodeForbidden, "", "no such state")
	}
	return agent.GitHubAppForm{Action: "https://github.example/settings/apps/new?state=good", Manifest: `{"name":"<b>"}`}, nil
}
func (fakePipelines) FinishApp(_ context.Context, state, _ string) (agent.GitHub, error) {
	if state != "good" {
		return agent.GitHub{}, agent.Errorf(agent.CodeForbidden, "", "no such state")
	}
	return agent.GitHub{}, nil
}
func (fakePipelines) CheckApp(context.Context, string, string) (agent.GitHub, error) {
	return agent.GitHub{}, nil
}
func (f fakePipelines) Cancel(ctx context.Context, id int64, _ string) (agent.Run, error) {
	return f.Run(ctx, id)
}
func (fakePipelines) Run(_ context.Context, id int64) (agent.Run, error) {
	if id != 7 {
		return agent.Run{}, agent.Errorf(agent.CodeNotFound, "", "there is no run %d", id)
	}
	return agent.Run{ID: 7}, nil
}
func (fakePipelines) Runs(context.Context, string) ([]agent.Run, error) { return nil, nil }
func (fakePipelines) Receive(_ context.Context, name string, r *http.Request) (agent.Delivery, error) {
	return agent.Delivery{Pipeline: name, Outcome: r.Header.Get("X-Outcome"), Why: "a test"}, nil
}
func (fakePipelines) Deliveries(context.Context, string) ([]agent.Delivery, error) { return nil, nil }

func TestA36HooksAreAnswered(t *testing.T) {
	a := newAppliance(t)
	for outcome, status := range map[string]int{
		"accepted": http.StatusAccepted, "duplicate": http.StatusAccepted, "ignored": http.StatusAccepted,
		"forged": http.StatusForbidden, "oversized": http.StatusRequestEntityTooLarge,
	} {
		got := a.do(request{method: http.MethodPost, path: "/api/hooks/github/web", body: "{}", header: map[string]string{"X-Outcome": outcome}})
		if got.Code != status {
			t.Errorf("%s: %d %s", outcome, got.Code, got.Body)
		}
	}
}

func TestRunsAreNamedByNumber(t *testing.T) {
	a := newAppliance(t)
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: "/api/runs/last", local: true})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{path: "/api/runs/8", local: true})
}

func TestGitHubSendsTheBrowserBackByStateAlone(t *testing.T) {
	a := newAppliance(t)
	for path, status := range map[string]int{
		"/api/github/app/new?state=good": http.StatusOK, "/api/github/app/new?state=guess": http.StatusForbidden, "/api/github/app/new": http.StatusForbidden,
		"/api/github/app/callback?state=good&code=x": http.StatusSeeOther, "/api/github/app/callback?state=guess&code=x": http.StatusForbidden,
	} {
		got := a.do(request{method: http.MethodGet, path: path})
		if got.Code != status {
			t.Errorf("%s: %d", path, got.Code)
		}
		if status == http.StatusOK {
			if policy := got.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action https://github.example") || !strings.Contains(policy, "default-src 'none'") {
				t.Errorf("policy %s", policy)
			}
			if !strings.Contains(got.Body.String(), `value="{&#34;name&#34;:&#34;&lt;b&gt;&#34;}"`) {
				t.Errorf("page %s", got.Body.String())
			}
		}
	}
}
