package app

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// The slowest component tells how far an app is; a trouble bears its name.
func TestObserveSeveralComponents(t *testing.T) {
	done := func() view { return aView(aPod("3", ready)).withStatus(complete1) }
	old := func() view {
		v := aView(aPod("2", ready))
		v.deployment.Labels = map[string]string{agent.LabelRelease: "2"}
		return v
	}
	room := "0/1 nodes are available: 1 Insufficient cpu."
	tests := map[string]struct {
		views    views
		complete bool
		step     string
		message  string
		waiting  string
		trouble  string
		pulling  bool
		score    int
	}{
		"nothing":               {views{}, false, "apply", "api: handing the release to the cluster", "", "", false, 0},
		"all":                   {views{"api": done(), "web": done()}, true, "ready", "2 of 2 instances ready", "", "", false, 2 * rankReady},
		"one is not there":      {views{"api": done()}, false, "apply", "web: handing", "", "", false, rankReady},
		"one is of before":      {views{"api": old(), "web": done()}, false, "apply", "api: handing", "", "", false, rankReady},
		"one starts":            {views{"api": done(), "web": aView(aPod("3", running))}, false, "ready", "web: started, not ready yet", "", "", false, rankReady + rankStarted},
		"one is on a node":      {views{"api": aView(aPod("3", scheduled)), "web": aView(aPod("3", running))}, false, "pull", "api: preparing", "", "", false, rankScheduled + rankStarted},
		"ready, not all of it":  {views{"api": done(), "web": aView(aPod("2", ready), aPod("3", ready))}, false, "ready", "2 of 2 instances ready", "", "", false, 2 * rankReady},
		"one pulls":             {views{"api": done(), "web": aView(aPod("3", waiting("ContainerCreating", ""))).withEvent("p", "Pulling", "", noon)}, false, "pull", "web: pulling the image", "", "", true, rankReady + rankScheduled},
		"one has no room":       {views{"api": done(), "web": aView(aPod("3", noRoom(room)))}, false, "schedule", "web: no room", troubleRoom, "", false, rankReady},
		"one crashes":           {views{"api": aView(aPod("3", crashed(7, 2))), "web": done()}, false, "start", "api: the app ended", "", troubleCrash, false, rankReady + rankPulled},
		"trouble before room":   {views{"api": aView(aPod("3", noRoom(room))), "web": aView(aPod("3", crashed(7, 2)))}, false, "", "web: the app ended", troubleRoom, troubleCrash, false, rankPulled},
		"the worse of two":      {views{"api": aView(aPod("3", waiting("ErrImagePull", "i/o timeout"))), "web": aView(aPod("3", crashed(7, 2)))}, false, "pull", "web: the app ended", "", troubleCrash, false, rankScheduled + rankPulled},
		"another is in the way": {views{"api": done(), "web": done(), "old": aView(aPod("2", crashed(1, 9)))}, true, "ready", "2 of 2", "", "", false, 2 * rankReady},
	}
	g := goal{release: 3, scale: map[string]agent.Scale{"api": agent.Fixed(1), "web": agent.Fixed(1)}, spec: agent.Spec{Components: []agent.Component{{Name: "api", Port: 8080}, {Name: "web", Port: 3000}}}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := tt.views.observe(g)
			if o.complete != tt.complete || (tt.step != "" && o.step != tt.step) || !strings.HasPrefix(o.message, tt.message) || o.pulling != tt.pulling || o.score != tt.score {
				t.Errorf("complete %v, step %s, message %q, pulling %v, score %d", o.complete, o.step, o.message, o.pulling, o.score)
			}
			if kindOf(o.waiting) != tt.waiting || kindOf(o.trouble) != tt.trouble {
				t.Errorf("waiting %+v, trouble %+v", o.waiting, o.trouble)
			}
			for _, found := range []*trouble{o.waiting, o.trouble} {
				if found != nil && !strings.HasPrefix(found.message, "api: ") && !strings.HasPrefix(found.message, "web: ") {
					t.Errorf("no component is named: %q", found.message)
				}
			}
		})
	}
}

func TestTheOnlyComponentIsNotNamed(t *testing.T) {
	g := goal{release: 3, scale: map[string]agent.Scale{"app": agent.Fixed(1)}, spec: agent.Spec{Components: []agent.Component{{Name: "app", Port: 8080}}}}
	for _, v := range []views{{}, {"app": aView(aPod("3", crashed(7, 2)))}, {"app": aView(aPod("3", func(p *corev1.Pod) { running(p) }))}} {
		if o := v.observe(g); strings.HasPrefix(o.message, "app:") || (o.trouble != nil && strings.HasPrefix(o.trouble.message, "app:")) {
			t.Errorf("%q, %+v", o.message, o.trouble)
		}
	}
}

func TestViewsHoldOnlyWhatIsAskedFor(t *testing.T) {
	g := goal{release: 3, scale: map[string]agent.Scale{"api": agent.Fixed(1), "web": agent.Fixed(1)}, spec: agent.Spec{Components: []agent.Component{{Name: "api"}, {Name: "web"}}}}
	if v := (views{"api": aView(), "web": aView()}); !v.holds(g) {
		t.Error("all is there, and does not hold")
	}
	if v := (views{"api": aView()}); v.holds(g) {
		t.Error("one is not there")
	}
	if v := (views{"api": aView(), "web": aView(), "gone": {pods: []*corev1.Pod{aPod("2", stopping)}}}); !v.holds(g) {
		t.Error("pods that are stopping count as a component")
	}
	if v := (views{"api": aView(), "web": aView(), "old": aView()}); v.holds(g) || len(v.others(g.spec)) != 1 || v.others(g.spec)[0] != "old" {
		t.Error("another component is there")
	}
}
