package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"hks.dev/hks/agent"
)

func TestCompare(t *testing.T) {
	is := agent.Component{Name: "api", Image: "api:1", Port: 80, Path: "/", Env: map[string]string{"A": "1", "B": "2"}, Command: []string{"serve", "a b"}}
	with := func(change func(*agent.Component)) agent.Component {
		c := is
		change(&c)
		return c
	}
	of := func(env map[string]string, components ...agent.Component) agent.Spec {
		return agent.Spec{Components: components, Env: env}
	}
	tests := map[string]struct {
		from, to agent.Spec
		want     []agent.Change
	}{
		"nothing":   {from: of(map[string]string{"K": "1"}, is), to: of(map[string]string{"K": "1"}, is)},
		"the first": {to: of(nil, agent.Component{Name: "api", Image: "api:1", Port: 80}), want: []agent.Change{{Component: "api", Field: "component", To: "new"}, {Component: "api", Field: "image", To: "api:1"}, {Component: "api", Field: "port", To: "80"}}},
		"removed":   {from: of(nil, is), to: of(nil), want: []agent.Change{{Component: "api", Field: "component", From: "removed"}}},
		"fields": {from: of(nil, is), to: of(nil, with(func(c *agent.Component) { c.Image, c.Port, c.Memory, c.Secrets = "api:2", 0, "1Gi", []string{"K", "L"} })), want: []agent.Change{
			{Component: "api", Field: "image", From: "api:1", To: "api:2"}, {Component: "api", Field: "port", From: "80"},
			{Component: "api", Field: "memory", To: "1Gi"}, {Component: "api", Field: "secrets", To: "K, L"},
		}},
		"words of a command are told apart": {from: of(nil, is), to: of(nil, with(func(c *agent.Component) { c.Command = []string{"serve", "a", "b"} })), want: []agent.Change{
			{Component: "api", Field: "command", From: `["serve","a b"]`, To: `["serve","a","b"]`},
		}},
		"a component's own variables": {from: of(nil, is), to: of(nil, with(func(c *agent.Component) { c.Env = map[string]string{"B": "3", "C": "4"} })), want: []agent.Change{
			{Component: "api", Field: "env A", From: "1"}, {Component: "api", Field: "env B", From: "2", To: "3"}, {Component: "api", Field: "env C", To: "4"},
		}},
		"values of the app stay hidden": {from: of(map[string]string{"GOES": "s3cret", "CHANGES": "s3cret", "STAYS": "s3cret"}), to: of(map[string]string{"CHANGES": "s3cret2", "STAYS": "s3cret", "COMES": ""}), want: []agent.Change{
			{Field: "env CHANGES", From: agent.HiddenValue, To: agent.HiddenValue}, {Field: "env COMES", To: agent.HiddenValue}, {Field: "env GOES", From: agent.HiddenValue},
		}},
		"by component": {from: of(nil, is, agent.Component{Name: "web", Image: "web:1"}), to: of(nil, agent.Component{Name: "web", Image: "web:2"}, agent.Component{Name: "job", Image: "job:1"}, is), want: []agent.Change{
			{Component: "job", Field: "component", To: "new"}, {Component: "job", Field: "image", To: "job:1"}, {Component: "web", Field: "image", From: "web:1", To: "web:2"},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := compare(test.from, test.to); !slices.Equal(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestDiffOfADeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		d := agent.Deploy{
			Change:   []agent.Component{{Name: "api", Image: "api:2"}},
			Env:      map[string]string{"DATABASE_URL": agent.HiddenValue, "NEW": "s3cret"},
			Replicas: map[string]agent.Scale{"web": agent.Fixed(1), "api": agent.Fixed(3)},
		}
		changes, err := w.m.Diff(t.Context(), "web", agent.Staging, d)
		want := []agent.Change{
			{Component: "api", Field: "image", From: "api:1", To: "api:2"}, {Field: "env NEW", To: agent.HiddenValue},
			{Component: "api", Field: "replicas", From: "1", To: "3"},
		}
		if err != nil || !slices.Equal(changes, want) {
			t.Errorf("got %+v, %v", changes, err)
		}
		if changes, err := w.m.Diff(t.Context(), "new", agent.Staging, whole("api:1", "web:1")); err != nil || len(changes) == 0 || changes[0].To != "new" {
			t.Errorf("of a new app: %+v, %v", changes, err)
		}
		if _, err := w.m.Diff(t.Context(), "new", agent.Staging, agent.Deploy{}); err == nil || strings.Contains(err.Error(), "internal") {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := w.m.Diff(t.Context(), "web", "moon", d); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("of no environment: %v", err)
		}
		if r, err := w.m.Releases(t.Context(), "web", agent.Staging); err != nil || len(r) != 1 {
			t.Errorf("something was released: %+v, %v", r, err)
		}
	})
}
