package gateway

import (
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	r := newTestRouter(t, Table{Routes: []Route{
		{Host: "a.test", Path: "/", Service: "root"},
		{Host: "a.test", Path: "/api", Service: "api"},
		{Host: "a.test", Path: "/api/v2", Service: "api2"},
		{Host: "a.test", Path: "/api", Exact: true, Service: "api-exact"},
		{Host: "a.test", Path: "/only/this/one", Exact: true, Service: "only"},
		{Host: "*.wild.test", Path: "/", Service: "wild"},
		{Host: "x.wild.test", Path: "/x", Service: "x"},
		{Host: "", Path: "/any", Service: "any"},
	}})
	tests := []struct{ host, path, want string }{
		{"a.test", "/", "root"},
		{"a.test", "", "root"},
		{"a.test", "/apis", "root"},
		{"a.test", "/api", "api-exact"},
		{"a.test", "/api/", "api"},
		{"a.test", "/api/v1", "api"},
		{"a.test", "/api/v2", "api2"},
		{"a.test", "/api/v2/x", "api2"},
		{"a.test", "/only/this/one", "only"},
		{"a.test", "/only/this/one/more", "root"},
		{"b.wild.test", "/", "wild"},
		{"x.wild.test", "/x/y", "x"},
		{"x.wild.test", "/y", "wild"},
		{"a.b.wild.test", "/", ""},
		{"wild.test", "/", ""},
		{"nobody.test", "/any/thing", "any"},
		{"nobody.test", "/", ""},
		{"", "/any", "any"},
	}
	for _, test := range tests {
		got := ""
		if found := r.find(test.host, test.path); found != nil {
			got = found.Service
		}
		if got != test.want {
			t.Errorf("%s%s goes to %q, want %q", test.host, test.path, got, test.want)
		}
	}
	for host, want := range map[string]bool{"a.test": true, "b.wild.test": true, "x.wild.test": true, "nobody.test": false, "": false, "wild.test": false} {
		if r.knows(host) != want {
			t.Errorf("knows(%q) is %t, want %t", host, !want, want)
		}
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		"A.Test": "a.test", "a.test:8080": "a.test", "a.test.": "a.test", "[::1]:80": "::1", "": "", "10.0.0.1:80": "10.0.0.1",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("hostOf(%q) is %q, want %q", in, got, want)
		}
	}
}

func newTestRouter(t *testing.T, table Table) *router {
	t.Helper()
	r, problems := newRouter(table, SourceCluster, time.Now(), nil, func(Route) *routeStats { return nil })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}
