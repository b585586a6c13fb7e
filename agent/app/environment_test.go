package app

import (
	"maps"
	"slices"
	"strings"
	"testing"

	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// aDesired is release 7 of an app with the components.
func aDesired(env map[string]string, components ...agent.Component) desired {
	return desired{
		key: key{"web", agent.Staging}, namespace: testNamespace, host: func(c agent.Component) string {
			if c.Host != "" {
				return c.Host
			}
			return "web-staging.localhost"
		},
		release: store.AppRelease{Release: agent.Release{Number: 7, Spec: agent.Spec{Components: components, Env: env}}},
	}
}

// seen is what a container sees of its environment: values in the clear as
// Kubernetes expands them, "secret NAME" for what comes from a Secret.
func seen(t *testing.T, env []*coreac.EnvVarApplyConfiguration) map[string]string {
	t.Helper()
	if !slices.IsSortedFunc(env, func(a, b *coreac.EnvVarApplyConfiguration) int { return strings.Compare(*a.Name, *b.Name) }) {
		t.Error("the environment is not in order")
	}
	got := map[string]string{}
	for _, e := range env {
		if e.ValueFrom != nil {
			got[*e.Name] = "secret " + *e.ValueFrom.SecretKeyRef.Name + "/" + *e.ValueFrom.SecretKeyRef.Key
			continue
		}
		got[*e.Name] = expand(*e.Value)
	}
	return got
}

// expand does with $$ and $(NAME) what the kubelet does.
func expand(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch rest := value[i:]; {
		case strings.HasPrefix(rest, "$$"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$(") && strings.Contains(rest, ")"):
			b.WriteString("EXPANDED")
			i += strings.Index(rest, ")")
		default:
			b.WriteByte(value[i])
		}
	}
	return b.String()
}

func TestEnvironmentOfAComponent(t *testing.T) {
	secret := func(name string) string { return "secret web-staging-7/" + name }
	tests := map[string]struct {
		env        map[string]string
		components []agent.Component
		want       map[string]string // of the first
	}{
		"none":                      {nil, []agent.Component{{Name: "a"}}, nil},
		"port":                      {nil, []agent.Component{{Name: "a", Port: 8080}}, map[string]string{"PORT": "8080"}},
		"port of its own":           {nil, []agent.Component{{Name: "a", Port: 8080, Env: map[string]string{"PORT": "1"}}}, map[string]string{"PORT": "1"}},
		"port of the app":           {map[string]string{"PORT": "2"}, []agent.Component{{Name: "a", Port: 8080, Env: map[string]string{"PORT": "1"}}}, map[string]string{"PORT": secret("PORT")}},
		"own":                       {nil, []agent.Component{{Name: "a", Env: map[string]string{"X": "1"}}, {Name: "b", Env: map[string]string{"Y": "2"}}}, map[string]string{"X": "1"}},
		"the app's goes to all":     {map[string]string{"X": "app"}, []agent.Component{{Name: "a"}, {Name: "b"}}, map[string]string{"X": secret("X")}},
		"the app's is stronger":     {map[string]string{"X": "app"}, []agent.Component{{Name: "a", Env: map[string]string{"X": "own"}}}, map[string]string{"X": secret("X")}},
		"asked for":                 {map[string]string{"KEY": "k"}, []agent.Component{{Name: "a", Secrets: []string{"KEY"}}, {Name: "b"}}, map[string]string{"KEY": secret("KEY")}},
		"asked for by another only": {map[string]string{"KEY": "k", "X": "y"}, []agent.Component{{Name: "a"}, {Name: "b", Secrets: []string{"KEY"}}}, map[string]string{"X": secret("X")}},
		"own under another's":       {map[string]string{"KEY": "k"}, []agent.Component{{Name: "a", Env: map[string]string{"KEY": "own"}}, {Name: "b", Secrets: []string{"KEY"}}}, map[string]string{"KEY": "own"}},
		"nothing is expanded": {nil, []agent.Component{{Name: "a", Env: map[string]string{"A": "$(PORT)", "B": "$$(PORT)", "C": "a$$b", "D": "$", "E": "$$", "F": "x$y", "G": "$2y$10$"}}},
			map[string]string{"A": "$(PORT)", "B": "$$(PORT)", "C": "a$$b", "D": "$", "E": "$$", "F": "x$y", "G": "$2y$10$"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := aDesired(tt.env, tt.components...).parts()[0]
			if got := seen(t, p.env()); !maps.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestRoutesOfComponents(t *testing.T) {
	tests := map[string]struct {
		components []agent.Component
		want       []string // host path service, in order
	}{
		"none":         {[]agent.Component{{Name: "a", Port: 80}, {Name: "b"}}, nil},
		"default name": {[]agent.Component{{Name: "app", Port: 80, Path: "/"}}, []string{"web-staging.localhost / web-staging"}},
		"paths": {[]agent.Component{{Name: "api", Port: 80, Path: "/api"}, {Name: "site", Port: 80, Path: "/"}, {Name: "work"}},
			[]string{"web-staging.localhost /api web-staging-api", "web-staging.localhost / web-staging-site"}},
		"hosts": {[]agent.Component{{Name: "a", Port: 80, Path: "/"}, {Name: "b", Port: 80, Path: "/", Host: "b.example.com"}, {Name: "c", Port: 80, Path: "/c"}},
			[]string{"web-staging.localhost / web-staging-a", "web-staging.localhost /c web-staging-c", "b.example.com / web-staging-b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := routesOf(aDesired(nil, tt.components...).ingress()); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func routesOf(i *networkingac.IngressApplyConfiguration) []string {
	if i == nil {
		return nil
	}
	var routes []string
	for _, rule := range i.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			routes = append(routes, *rule.Host+" "+*path.Path+" "+*path.Backend.Service.Name)
		}
	}
	return routes
}
