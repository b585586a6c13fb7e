package aiops

import (
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

// command writes a command of hks for an app.
func command(verb string, s agent.Subject, rest string) string {
	text := "hks " + verb + " " + s.Name
	if rest != "" {
		text += " " + rest
	}
	if s.Environment == agent.Production {
		text += " --environment production"
	}
	return text
}

// remedies are the ways out of a trouble, the safest first.
func remedies(f finding, change *agent.CauseChange, namespace string) []agent.Remedy {
	r := remedier{finding: f, change: change, kubectl: "kubectl -n " + namespace + " "}
	switch f.detector {
	case detect.MemoryLeak, detect.OOMLoop, OOMKilled:
		r.rollback()
		r.restart("frees the memory at once; it grows again until the leak is mended")
		r.moreMemory()
	case CrashLoop, detect.ErrorRate, detect.Latency, detect.LogNovelty, detect.Anomaly:
		r.rollback()
		r.logs(f.previous)
		r.function()
		if f.detector == detect.ErrorRate || f.detector == detect.Latency {
			r.restart("")
		}
	case ProbeFailing:
		r.logs(false)
		r.rollback()
		r.restart("")
	case ReleaseFailed:
		r.add("See what the release printed", command("releases", f.subject, ""), "")
		r.add("Deploy again when it is mended", command("deploy", f.subject, ""), "")
	case ImagePull:
		r.add("Bring the image here without a registry", "hks image load FILE.tar", "")
		r.rollback()
	case Unschedulable:
		r.add("Run fewer instances of something", "hks scale APP 1", "")
		r.add("Ask for less", command("deploy", f.subject, "--cpu 100m --memory 128Mi"), "")
		r.add("Add a machine", "hks node add NAME", "")
	case detect.VolumeFull:
		r.volume()
	case NodePressure, DiskFull:
		r.add("Remove images that nothing needs", "hks image prune", "")
		r.add("See what takes the most", "hks metrics", r.kubectl+"top pods --sort-by=memory")
	case NodeLost:
		r.add("See what the node said last", "hks node show "+f.subject.Name, r.kubectl+"describe node "+f.subject.Name)
		r.add("If it does not come back, move its apps away", "hks node remove "+f.subject.Name, "")
	case CronFailed:
		r.add("See its runs and what they printed", "hks cron history "+f.subject.Name, "")
		r.add("Run it again when it is mended", "hks cron run "+f.subject.Name, "")
	case RunFailed:
		r.add("See its log", "hks pipeline runs "+f.subject.Name, "")
		r.add("Run it again", "hks pipeline run "+f.subject.Name, "")
	case AddressChanged:
		r.add("As root on the machine: give the cluster its new address", "hks-installer readdress", "")
	case BackupFailed:
		if f.subject.Kind == agent.SubjectAppliance {
			r.add("See what was tried", "hks appliance backup list", "")
			if f.subject.Name == agent.ApplianceDrillJob {
				r.add("Try it again", "hks appliance drill", "")
			} else {
				r.add("Try it again", "hks appliance backup create", "")
			}
			break
		}
		r.add("Back it up now", "hks backup create "+f.subject.Name, "")
	case Certificate:
		r.add("See what is missing", "hks domains show "+f.subject.Name, "")
	}
	return r.list
}

type remedier struct {
	finding finding
	change  *agent.CauseChange
	kubectl string
	list    []agent.Remedy
}

func (r *remedier) add(title, command, kubectl string) {
	r.list = append(r.list, agent.Remedy{Title: title, Command: command, Kubectl: kubectl})
}

func (r *remedier) object() string {
	if r.finding.workload == "" {
		return agent.ObjectName(r.finding.subject.Name, r.finding.subject.Environment)
	}
	return r.finding.workload
}

func (r *remedier) isApp() bool { return r.finding.subject.Kind == agent.SubjectApp }

// rollback is offered when a change came just before, and there is something
// to go back to.
func (r *remedier) rollback() {
	s := r.finding.subject
	if !r.isApp() || r.change == nil || r.change.Before == 0 {
		return
	}
	r.list = append(r.list, agent.Remedy{
		Title:   fmt.Sprintf("Go back to release %d, which served before", r.change.Before),
		Command: command("rollback", s, fmt.Sprint(r.change.Before)),
		Kubectl: r.kubectl + "rollout undo deployment/" + r.object(),
		Action:  &agent.RemedyAction{Kind: agent.RemedyRollback, App: s.Name, Environment: s.Environment, Release: r.change.Before},
	})
}

func (r *remedier) restart(why string) {
	s := r.finding.subject
	if !r.isApp() {
		return
	}
	title := "Restart it without losing a request"
	if why != "" {
		title += ": " + why
	}
	r.list = append(r.list, agent.Remedy{
		Title: title, Command: command("app restart", s, ""), Kubectl: r.kubectl + "rollout restart deployment/" + r.object(),
		Action: &agent.RemedyAction{Kind: agent.RemedyRestart, App: s.Name, Environment: s.Environment},
	})
}

// moreMemory doubles the limit.
func (r *remedier) moreMemory() {
	s := r.finding.subject
	if !r.isApp() || r.finding.memory == 0 {
		return
	}
	memory := fmt.Sprintf("%dMi", 2*r.finding.memory>>20)
	component := ""
	if s.Component != "" && s.Component != agent.DefaultComponent {
		component = " --component " + s.Component
	}
	r.list = append(r.list, agent.Remedy{
		Title: "Give it more memory, when it needs that much", Command: command("deploy", s, "--memory "+memory+component),
		Kubectl: r.kubectl + "set resources deployment/" + r.object() + " --limits=memory=" + memory,
		Action:  &agent.RemedyAction{Kind: agent.RemedyMemory, App: s.Name, Environment: s.Environment, Component: s.Component, Memory: memory},
	})
}

func (r *remedier) logs(previous bool) {
	if !r.isApp() {
		return
	}
	flag := ""
	kubectl := r.kubectl + "logs deployment/" + r.object()
	if previous {
		flag, kubectl = "--previous", kubectl+" --previous"
	}
	r.add("See what it printed", command("logs", r.finding.subject, flag), kubectl)
}

// function offers what helps one that answers with errors.
func (r *remedier) function() {
	s := r.finding.subject
	if s.Kind != agent.SubjectFunction {
		return
	}
	r.add("See what it printed", "hks function logs "+s.Name, "")
	r.add("Go back to the version before", "hks function rollback "+s.Name, "")
}

func (r *remedier) volume() {
	s := r.finding.subject
	if s.Kind == agent.SubjectService {
		r.add("See what it holds", "hks connect "+s.Name, "")
		r.add("Back it up before anything else", "hks backup create "+s.Name, "")
		r.add("Give it more room", "hks market upgrade "+s.Name+" --storage SIZE", r.kubectl+"get pvc "+r.finding.workload)
		return
	}
	r.add("Give it more room", "hks volume resize "+r.finding.workload+" SIZE", r.kubectl+"get pvc "+r.finding.workload)
}
