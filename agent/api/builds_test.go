package api

import (
	"bytes"
	"context"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// fakeBuilds keeps what was submitted.
type fakeBuilds struct {
	request agent.BuildRequest
	source  string
	by      string
}

func (f *fakeBuilds) Submit(_ context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error) {
	data, err := io.ReadAll(source)
	f.request, f.source, f.by = request, string(data), by
	return agent.Build{ID: 7, App: app, Environment: env, Status: agent.RunPending, By: by}, err
}

func (f *fakeBuilds) List(context.Context, string, agent.Environment) ([]agent.Build, error) {
	return []agent.Build{{ID: 7}}, nil
}

func (f *fakeBuilds) Get(_ context.Context, id int64) (agent.Build, error) {
	if id != 7 {
		return agent.Build{}, agent.Errorf(agent.CodeNotFound, "hks build list", "there is no build %d", id)
	}
	return agent.Build{ID: 7, Status: agent.RunSucceeded}, nil
}

func (f *fakeBuilds) Cancel(context.Context, int64, string) (agent.Build, error) {
	return agent.Build{}, agent.Errorf(agent.CodeConflict, "", "build 7 has ended already")
}

func (f *fakeBuilds) Cache(context.Context) (agent.BuildCache, error) {
	return agent.BuildCache{UsedBytes: 30, OldBytes: 10, FreeableBytes: 20, BudgetBytes: 40}, nil
}

func (f *fakeBuilds) PruneCache(_ context.Context, all bool, by string) (agent.BuildCachePrune, error) {
	f.by = by
	return agent.BuildCachePrune{FreedBytes: map[bool]int64{false: 10, true: 20}[all]}, nil
}

func (f *fakeBuilds) CancelAll(context.Context, string, agent.Environment, string) error { return nil }

func (f *fakeBuilds) Logs(context.Context, int64, bool) iter.Seq2[agent.BuildLine, error] {
	return func(yield func(agent.BuildLine, error) bool) {
		_ = yield(agent.BuildLine{Kind: "note", Text: "hello"}, nil)
	}
}

// form is an upload with the parts given, in their order.
func form(t *testing.T, parts ...[2]string) (string, string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, part := range parts {
		if err := w.WriteField(part[0], part[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.String(), w.FormDataContentType()
}

func TestBuildUpload(t *testing.T) {
	a := newAppliance(t)
	body, kind := form(t, [2]string{"request", `{"test":true,"env":{"A":"b"}}`}, [2]string{"source", "a tar"})
	got := a.do(request{method: http.MethodPost, path: "/api/apps/web/staging/builds", local: true, body: body, header: map[string]string{"Content-Type": kind}})
	if got.Code != http.StatusAccepted || a.builds.source != "a tar" || !a.builds.request.Test || a.builds.request.Env["A"] != "b" {
		t.Errorf("%d %s: got %+v of %q", got.Code, got.Body, a.builds.request, a.builds.source)
	}
	for name, parts := range map[string][][2]string{
		"no parts":        {},
		"wrong first":     {{"source", "a tar"}},
		"no source":       {{"request", `{}`}},
		"unknown field":   {{"request", `{"rush":true}`}, {"source", "a tar"}},
		"request no JSON": {{"request", `rush`}, {"source", "a tar"}},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := form(t, parts...)
			a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: http.MethodPost, path: "/api/apps/web/staging/builds", local: true, body: body, header: map[string]string{"Content-Type": kind}})
		})
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: http.MethodPost, path: "/api/apps/web/staging/builds", local: true, body: "x", header: map[string]string{"Content-Type": "text/plain"}})
}

func TestBuildRoutes(t *testing.T) {
	a := newAppliance(t)
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{path: "/api/builds/8", local: true})
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: "/api/builds/latest", local: true})
	a.refuse(http.StatusConflict, agent.CodeConflict, request{method: http.MethodPost, path: "/api/builds/7/cancel", local: true})
}

func TestBuildCacheOverTheAPI(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	if w := a.want(http.StatusOK, request{path: "/api/builds/cache", cookie: cookie}); !strings.Contains(w.Body.String(), `"usedBytes":30,"oldBytes":10,"freeableBytes":20,"budgetBytes":40`) {
		t.Errorf("the cache: %s", w.Body)
	}
	for query, freed := range map[string]string{"": `"freedBytes":10`, "?all=true": `"freedBytes":20`} {
		if w := a.want(http.StatusOK, request{method: "DELETE", path: "/api/builds/cache" + query, cookie: cookie}); !strings.Contains(w.Body.String(), freed) {
			t.Errorf("pruned with %q: %s", query, w.Body)
		}
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "DELETE", path: "/api/builds/cache?all=perhaps", cookie: cookie})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{method: "DELETE", path: "/api/builds/cache"})
}
