package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// fakeVolumes has one volume, and does what it is told.
type fakeVolumes struct{}

func (fakeVolumes) one(name string) (agent.Volume, error) {
	if name != "web-staging-app-data" {
		return agent.Volume{}, agent.Errorf(agent.CodeNotFound, "", "there is no volume %q", name)
	}
	return agent.Volume{Name: name, ID: "pvc-1", SizeBytes: 1 << 30, Status: agent.VolumeReady}, nil
}

func (f fakeVolumes) List(context.Context) ([]agent.Volume, error) {
	v, err := f.one("web-staging-app-data")
	return []agent.Volume{v}, err
}

func (f fakeVolumes) Get(_ context.Context, name string) (agent.Volume, error) { return f.one(name) }

func (f fakeVolumes) Resize(_ context.Context, name, size, by string) (agent.Volume, error) {
	v, err := f.one(name)
	if size != "2Gi" || by == "" {
		return v, agent.Errorf(agent.CodeInvalid, "", "size %q by %q", size, by)
	}
	v.Status, v.AskedSize = agent.VolumeGrowing, 2<<30
	return v, err
}

func (f fakeVolumes) Delete(_ context.Context, name string, now bool, _ string) (agent.Volume, error) {
	v, err := f.one(name)
	v.Status = agent.VolumeKept
	if now {
		v.Status = agent.VolumeDeleting
	}
	return v, err
}

func (f fakeVolumes) Restore(_ context.Context, name, _ string) (agent.Volume, error) {
	return f.one(name)
}

func TestVolumes(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	const one = "/api/volumes/web-staging-app-data"
	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{http.MethodGet, "/api/volumes", "", http.StatusOK, `"web-staging-app-data"`},
		{http.MethodGet, one, "", http.StatusOK, `"pvc-1"`},
		{http.MethodGet, "/api/volumes/other", "", http.StatusNotFound, "no volume"},
		{http.MethodPost, one + "/resize", `{"size":"2Gi"}`, http.StatusOK, `"growing"`},
		{http.MethodPost, one + "/resize", `{"size":"2Gi","more":1}`, http.StatusBadRequest, "more"},
		{http.MethodDelete, one, "", http.StatusOK, `"kept"`},
		{http.MethodDelete, one + "?now=true", "", http.StatusOK, `"deleting"`},
		{http.MethodDelete, one + "?now=perhaps", "", http.StatusBadRequest, "now"},
		{http.MethodPost, one + "/restore", "", http.StatusOK, `"ready"`},
	} {
		answer := a.do(request{method: tt.method, path: tt.path, body: tt.body, cookie: cookie})
		if answer.Code != tt.code || !strings.Contains(answer.Body.String(), tt.want) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, answer.Code, answer.Body)
		}
	}
}
