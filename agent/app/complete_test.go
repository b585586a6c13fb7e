package app

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestComplete(t *testing.T) {
	one := agent.Spec{
		Components: []agent.Component{{
			Name: "app", Image: "web:1", Port: 8080, Path: "/", Host: "www.example.com", CPU: "1", Memory: "1Gi", Health: "/ok", Command: []string{"serve"},
			Env: map[string]string{"A": "1"}, Secrets: []string{"KEY"}, Release: []string{"migrate"},
		}},
		Env: map[string]string{"KEY": "canary", "B": "2"},
	}
	two := agent.Spec{Components: []agent.Component{
		{Name: "api", Image: "api:1", Port: 8080, CPU: "1", Memory: "1Gi"},
		{Name: "web", Image: "web:1", Port: 3000, Path: "/", CPU: "1", Memory: "1Gi"},
	}}
	inside := agent.Spec{Components: []agent.Component{{Name: "db", Image: "db:1", Port: 5432, CPU: "1", Memory: "1Gi"}}}
	with := func(spec agent.Spec, change func(*agent.Spec)) agent.Spec {
		spec.Components = slices.Clone(spec.Components)
		change(&spec)
		return spec
	}
	deploy := func(changes ...agent.Component) agent.Deploy { return agent.Deploy{Change: changes} }
	tests := map[string]struct {
		d      agent.Deploy
		newest agent.Spec
		want   agent.Spec
		kept   []string
		refuse string // part of the words
	}{
		"a new app by image": {d: deploy(agent.Component{Image: "web:1", Port: 80}),
			want: agent.Spec{Components: []agent.Component{{Name: "app", Image: "web:1", Port: 80, Path: "/", CPU: defaultCPU, Memory: defaultMemory}}}},
		"a new app by file": {d: agent.Deploy{Components: []agent.Component{{Name: "b", Image: "b:1"}, {Name: "a", Image: "a:1", Port: 80, CPU: "2"}}},
			want: agent.Spec{Components: []agent.Component{{Name: "a", Image: "a:1", Port: 80, CPU: "2", Memory: defaultMemory}, {Name: "b", Image: "b:1", CPU: defaultCPU, Memory: defaultMemory}}}},
		"one component of a file stays inside": {d: agent.Deploy{Components: []agent.Component{{Name: "db", Image: "db:1", Port: 5432, CPU: "1", Memory: "1Gi"}}}, want: inside},
		"and so it does later":                 {d: agent.Deploy{Env: map[string]string{"A": "b"}}, newest: inside, want: with(inside, func(s *agent.Spec) { s.Env = map[string]string{"A": "b"} }), kept: []string{"db"}},
		"nothing given":                        {d: agent.Deploy{}, newest: one, want: one, kept: []string{"app"}},
		"only the image": {d: deploy(agent.Component{Image: "web:2"}), newest: one,
			want: with(one, func(s *agent.Spec) { s.Components[0].Image = "web:2" })},
		"the same image is found anew": {d: deploy(agent.Component{Image: "web:1"}), newest: one, want: one},
		"all but the image": {d: deploy(agent.Component{Port: 90, Path: "/x", Host: "a.b", CPU: "2", Memory: "2Gi", Health: "/h", Command: []string{"x"}, Env: map[string]string{"C": "3"}, Secrets: []string{"B"}, Release: []string{"y"}}), newest: one,
			want: with(one, func(s *agent.Spec) {
				s.Components[0] = agent.Component{Name: "app", Image: "web:1", Port: 90, Path: "/x", Host: "a.b", CPU: "2", Memory: "2Gi", Health: "/h", Command: []string{"x"}, Env: map[string]string{"C": "3"}, Secrets: []string{"B"}, Release: []string{"y"}}
			}), kept: []string{"app"}},
		"taken back": {d: deploy(agent.Component{Health: "tcp", Command: []string{}, Env: map[string]string{}, Secrets: []string{}, Release: []string{}}), newest: one,
			want: with(one, func(s *agent.Spec) {
				c := &s.Components[0]
				c.Health, c.Command, c.Env, c.Secrets, c.Release = "", []string{}, map[string]string{}, []string{}, []string{}
			}), kept: []string{"app"}},
		"one of several": {d: deploy(agent.Component{Name: "api", Image: "api:2"}), newest: two,
			want: with(two, func(s *agent.Spec) { s.Components[0].Image = "api:2" }), kept: []string{"web"}},
		"two of several, one twice": {d: deploy(agent.Component{Name: "api", Image: "api:2"}, agent.Component{Name: "web", Port: 3001}, agent.Component{Name: "api", Port: 81}), newest: two,
			want: with(two, func(s *agent.Spec) {
				s.Components[0].Image, s.Components[0].Port, s.Components[1].Port = "api:2", 81, 3001
			}), kept: []string{"web"}},
		"one more": {d: deploy(agent.Component{Name: "mail", Image: "mail:1"}), newest: two,
			want: with(two, func(s *agent.Spec) {
				s.Components = slices.Insert(s.Components, 1, agent.Component{Name: "mail", Image: "mail:1", CPU: defaultCPU, Memory: defaultMemory})
			}), kept: []string{"api", "web"}},
		"all, as a file says": {d: agent.Deploy{Components: two.Components[1:]}, newest: two, want: agent.Spec{Components: two.Components[1:]}},
		"values":              {d: agent.Deploy{Env: map[string]string{"KEY": agent.HiddenValue, "N": "3"}}, newest: one, want: with(one, func(s *agent.Spec) { s.Env = map[string]string{"KEY": "canary", "N": "3"} }), kept: []string{"app"}},
		"no values":           {d: agent.Deploy{Env: map[string]string{}}, newest: one, want: with(one, func(s *agent.Spec) { s.Env = map[string]string{} }), kept: []string{"app"}},
		"which of several":    {d: deploy(agent.Component{Image: "api:2"}), newest: two, refuse: "several components"},
		"both":                {d: agent.Deploy{Components: two.Components, Change: two.Components}, newest: two, refuse: "both"},
		"none":                {d: agent.Deploy{}, refuse: "no component"},
		"all taken away":      {d: agent.Deploy{Components: []agent.Component{}}, newest: two, refuse: "no component"},
		"a value never given": {d: agent.Deploy{Env: map[string]string{"X": agent.HiddenValue}}, newest: one, refuse: "no earlier value of X"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := with(tt.newest, func(*agent.Spec) {})
			spec, kept, err := complete(tt.d, tt.newest)
			if tt.refuse != "" {
				if agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), tt.refuse) || fixOf(err) == "" {
					t.Errorf("%v, want %q", err, tt.refuse)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(spec, tt.want) || !slices.Equal(kept, tt.kept) {
				t.Errorf("\n%+v, kept %v, %v; want\n%+v, kept %v", spec, kept, err, tt.want, tt.kept)
			}
			if !reflect.DeepEqual(tt.newest, before) {
				t.Errorf("the newest release was changed: %+v", tt.newest)
			}
		})
	}
}

func TestPromoted(t *testing.T) {
	source := agent.Spec{Env: map[string]string{"KEY": "staging"}, Components: []agent.Component{
		{Name: "api", Image: "api:2", Port: 8080, Path: "/", Host: "api.staging", CPU: "2", Env: map[string]string{"LEVEL": "debug", "MODE": "fast"}}, {Name: "new", Image: "new:1", Host: "new.staging"}}}
	before := agent.Spec{Env: map[string]string{"KEY": "production"}, Components: []agent.Component{
		{Name: "api", Image: "api:1", Port: 80, Path: "/", Host: "api.example.com", CPU: "1", Env: map[string]string{"LEVEL": "warn"}}, {Name: "old", Image: "old:1"}}}
	want := agent.Spec{Env: before.Env, Components: []agent.Component{
		{Name: "api", Image: "api:2", Port: 8080, Path: "/", Host: "api.example.com", CPU: "1", Env: map[string]string{"LEVEL": "warn", "MODE": "fast"}}, {Name: "new", Image: "new:1"}}}
	if got := promoted(source, before); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if source.Components[0].Host != "api.staging" {
		t.Error("the source was changed")
	}
}

func TestNamesOfComponents(t *testing.T) {
	longApp := strings.Repeat("a", agent.MaxNameLength)
	tests := []struct {
		app, name string
		ok        bool
	}{
		{"web", "api", true},
		{"web", "app", true},
		{longApp, "app", true}, // the only one of an app that was there before
		{longApp, "api1", true},
		{longApp, "api12", false},
		{"web", strings.Repeat("b", agent.MaxNameLength), true},
		{"webs", strings.Repeat("b", agent.MaxNameLength), true},
		{"websi", strings.Repeat("b", agent.MaxNameLength), false},
		{"web", strings.Repeat("b", agent.MaxNameLength+1), false},
		{"web", "", false},
		{"web", "API", false},
		{"web", "1api", false},
		{"web", "staging", false},
		{"web", "production", false},
		{"web", "api-staging", false}, // the objects of an app web-staging-api
		{"web", "api-production", false},
		{"web", "staging-api", true},
	}
	for _, tt := range tests {
		err := validateComponentName(key{tt.app, agent.Production}, tt.name)
		if (err == nil) != tt.ok || (err != nil && agent.CodeOf(err) != agent.CodeInvalid) {
			t.Errorf("%s of %s: %v", tt.name, tt.app, err)
		}
		if err != nil {
			continue
		}
		// What is made for the ten-thousandth release fits a DNS label.
		p := part{desired: desired{key: key{tt.app, agent.Production}}, component: agent.Component{Name: tt.name}}
		p.release.Number = 10000
		for _, object := range []string{p.object(), p.taskName(), p.secretName()} {
			if len(object) > 63 {
				t.Errorf("%s has %d characters", object, len(object))
			}
		}
	}
}
