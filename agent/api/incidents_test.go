package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// fakeIncidents has incident 1, and answers with what it was asked.
type fakeIncidents struct{}

func (fakeIncidents) one(id int64, by string) (agent.Incident, error) {
	if id != 1 {
		return agent.Incident{}, agent.Errorf(agent.CodeNotFound, "", "there is no incident %d", id)
	}
	return agent.Incident{ID: 1, AckedBy: by}, nil
}

func (fakeIncidents) List(_ context.Context, limit int, pending bool) ([]agent.Incident, error) {
	list := make([]agent.Incident, min(limit, 2))
	if pending {
		list = append(list, agent.Incident{Status: agent.IncidentPending})
	}
	return list, nil
}

func (f fakeIncidents) Get(_ context.Context, id int64) (agent.Incident, error) { return f.one(id, "") }

func (f fakeIncidents) Ack(_ context.Context, id int64, by string) (agent.Incident, error) {
	return f.one(id, by)
}

func (f fakeIncidents) Resolve(_ context.Context, id int64, by string) (agent.Incident, error) {
	return f.one(id, by)
}

func (f fakeIncidents) Accept(_ context.Context, id int64, by string) (agent.Incident, error) {
	return f.one(id, by)
}

func (fakeIncidents) Silences(context.Context) ([]agent.Silence, error) { return nil, nil }

func (fakeIncidents) Silence(_ context.Context, s agent.Silence, _ int64, d time.Duration, by string) (agent.Silence, error) {
	s.ID, s.By, s.Until = 7, by, time.Unix(0, 0).UTC().Add(d)
	return s, nil
}

func (fakeIncidents) Unsilence(_ context.Context, id int64) error {
	if id != 7 {
		return agent.Errorf(agent.CodeNotFound, "", "there is no silence %d", id)
	}
	return nil
}

func (fakeIncidents) Attention(_ context.Context, channels []agent.Channel) ([]agent.Attention, error) {
	return []agent.Attention{{Subject: "channel " + channels[0].Name}}, nil
}

func (fakeIncidents) Series(_ context.Context, s agent.Subject, since time.Duration) ([]agent.Series, error) {
	return []agent.Series{{Name: s.String(), Step: since}}, nil
}

// fakeChannels has the channel ops, which takes nothing.
type fakeChannels struct{}

func (fakeChannels) List(context.Context) ([]agent.Channel, error) {
	return []agent.Channel{{Name: "ops", URL: agent.HiddenValue}}, nil
}

func (fakeChannels) Put(_ context.Context, c agent.Channel) (agent.Channel, error) {
	c.URL = agent.HiddenValue
	return c, nil
}

func (fakeChannels) Delete(context.Context, string) error { return nil }

func (fakeChannels) Test(context.Context, string) error {
	return agent.Errorf(agent.CodeChannel, "correct it", "the channel does not take messages: invalid_auth")
}

func (fakeChannels) Reports(_ context.Context, limit int) ([]agent.ReportDelivery, error) {
	return make([]agent.ReportDelivery, min(limit, 3)), nil
}

func (fakeChannels) Retry(context.Context, string) (int64, error) { return 2, nil }

func TestA75IncidentsAreListedAndChanged(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	if got := decodeAs[[]agent.Incident](t, a.want(http.StatusOK, request{path: "/api/incidents?pending=true", cookie: cookie})); len(got) != 3 {
		t.Errorf("%d incidents", len(got))
	}
	a.want(http.StatusOK, request{path: "/api/incidents/1", cookie: cookie})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{path: "/api/incidents/9", cookie: cookie})
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: "/api/incidents/x", cookie: cookie})
	for _, verb := range []string{"ack", "resolve", "accept"} {
		w := a.want(http.StatusOK, request{method: http.MethodPost, path: "/api/incidents/1/" + verb, cookie: cookie})
		if got := decodeAs[agent.Incident](t, w); got.AckedBy == "" {
			t.Errorf("%s: it is not told who asked", verb)
		}
	}
	w := a.want(http.StatusCreated, request{method: http.MethodPost, path: "/api/silences", body: `{"subject":"app web/production","for":3600000000000}`, cookie: cookie})
	if got := decodeAs[agent.Silence](t, w); got.By == "" || got.Until.Unix() != 3600 {
		t.Errorf("%+v", got)
	}
	a.want(http.StatusOK, request{path: "/api/silences", cookie: cookie})
	a.want(http.StatusNoContent, request{method: http.MethodDelete, path: "/api/silences/7", cookie: cookie})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{method: http.MethodDelete, path: "/api/silences/8", cookie: cookie})
	if got := decodeAs[[]agent.Attention](t, a.want(http.StatusOK, request{path: "/api/attention", cookie: cookie})); got[0].Subject != "channel ops" {
		t.Errorf("%+v", got)
	}
}

func TestA16FiguresAreOfWhatIsNamed(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	got := decodeAs[[]agent.Series](t, a.want(http.StatusOK, request{path: "/api/series?kind=app&name=web&environment=production&since=6h", cookie: cookie}))
	if got[0].Name != "app web/production" || got[0].Step != 6*time.Hour {
		t.Errorf("%+v", got)
	}
	for _, query := range []string{"kind=app", "kind=pod&name=x", "kind=app&name=web&environment=nowhere", "kind=node&name=n&since=9000h"} {
		a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: "/api/series?" + query, cookie: cookie})
	}
}

func TestA72ChannelsAndTheirReports(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	w := a.want(http.StatusOK, request{method: http.MethodPut, path: "/api/channels/ops", body: `{"name":"other","kind":"webhook","url":"https://x.example/` + canary + `"}`, cookie: cookie})
	if got := decodeAs[agent.Channel](t, w); got.Name != "ops" || got.URL != agent.HiddenValue {
		t.Errorf("%+v", got)
	}
	a.want(http.StatusOK, request{path: "/api/channels", cookie: cookie})
	a.refuse(http.StatusBadGateway, agent.CodeChannel, request{method: http.MethodPost, path: "/api/channels/ops/test", cookie: cookie})
	if got := decodeAs[[]agent.ReportDelivery](t, a.want(http.StatusOK, request{path: "/api/reports?limit=2", cookie: cookie})); len(got) != 2 {
		t.Errorf("%d reports", len(got))
	}
	if got := decodeAs[map[string]int](t, a.want(http.StatusOK, request{method: http.MethodPost, path: "/api/reports/retry", body: `{}`, cookie: cookie})); got["retried"] != 2 {
		t.Errorf("%v", got)
	}
	a.want(http.StatusNoContent, request{method: http.MethodDelete, path: "/api/channels/ops", cookie: cookie})
}
