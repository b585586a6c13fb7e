package app

import (
	"testing"

	"hks.dev/hks/agent"
)

func TestHostsOfTheApplianceAreRefused(t *testing.T) {
	c := agent.Component{Name: "app", Image: "web:1", Port: 8080, CPU: "500m", Memory: "256Mi", Path: "/"}
	for host, want := range map[string]agent.Code{"": "", "www.example.com": "", "localhost": agent.CodeInvalid, "hks.example.com": agent.CodeInvalid} {
		c.Host = host
		if err := validate(key{"web", agent.Staging}, agent.Spec{Components: []agent.Component{c}}, []string{"localhost", "hks.example.com"}); agent.CodeOf(err) != want {
			t.Errorf("host %q: %v, want code %q", host, err, want)
		}
	}
}
