package api

import (
	"bytes"
	"context"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
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
