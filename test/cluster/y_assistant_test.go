package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// The assistant's clock in these tests: twenty seconds pass in one, so that an
// hour's leak takes three minutes.
const fastClock = "assistant:\n  interval: 1s\n  speed: 20\n"

// withFastClock restarts the agent with the assistant's clock made faster, and
// gives it back at the end.
func withFastClock(t *testing.T) {
	t.Helper()
	const file = "/etc/hks/config.yaml"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	restart := func(settings string) {
		write(t, file, settings)
		kill(t, "agent")
		up(t)
	}
	restart(string(before) + fastClock)
	t.Cleanup(func() { restart(string(before)) })
	healthy(t)
}

func incidentsOf(t *testing.T, subject string) []agent.Incident {
	t.Helper()
	return slices.DeleteFunc(ask[[]agent.Incident](t, "incidents", "--all"), func(i agent.Incident) bool { return i.Subject.String() != subject })
}

// TestA70TroubleIsFoundToldAndResolved has a fleet of one image behave badly in
// every way at once, beside others that only look as if they did.
func TestA70TroubleIsFoundToldAndResolved(t *testing.T) {
	folder := project(t, "trouble")
	for _, name := range []string{"trouble", "leaky", "sawtooth", "pagecache", "crashy", "sick"} {
		remove(t, name)
	}
	if r := try(t, "deploy", "--source", folder); r.exit != 0 {
		t.Fatalf("%s%s", r.stdout, r.stderr)
	}
	image := show(t, "trouble").Image
	withFastClock(t)
	client := browser(t)
	deploy(t, "leaky", image, "--env", "MODE=well", "--memory", "256Mi")
	urls := map[string]string{}
	for name, mode := range map[string]string{"sawtooth": "sawtooth", "pagecache": "cache", "crashy": "crash", "sick": "well"} {
		urls[name] = deploy(t, name, image, "--env", "MODE="+mode, "--memory", "256Mi")
	}
	load := startLoadOf(t, show(t, "trouble").URL, "well")
	begin := time.Now()
	hks(t, "env", "set", "leaky", "MODE=leak") // the release that brings the leak
	bad := show(t, "leaky").Release
	get(t, client, urls["sick"]+"/become?mode=sick")
	unschedulable(t, "nowhere", `"nodeSelector":{"hks.dev/none":"1"},`, "registry.k8s.invalid/pause:1")
	unschedulable(t, "imageless", "", "registry.hks.internal/none:1")

	want := map[string]string{
		"app leaky/staging": "memory-leak", "app crashy/staging": "crash-loop", "app sick/staging": "probe-failing",
		"workspace nowhere": "unschedulable", "workspace imageless": "image-pull",
	}
	for subject, detector := range want {
		t.Run(detector, func(t *testing.T) {
			eventually(t, 5*time.Minute, func() string {
				all := incidentsOf(t, subject)
				if len(all) == 0 {
					return fmt.Sprintf("nothing of %s after %s", subject, time.Since(begin).Round(time.Second))
				}
				t.Logf("%s after %s: %+v", subject, time.Since(begin).Round(time.Second), all)
				if len(all) != 1 || all[0].Detector != detector || all[0].Status != agent.IncidentFiring {
					t.Errorf("%s has %+v", subject, all)
				}
				return ""
			})
		})
	}
	leak := incidentsOf(t, "app leaky/staging")
	if len(leak) == 1 && (leak[0].Change == nil || leak[0].Change.Release != bad) {
		t.Errorf("A76 the release %d brought it: %+v", bad, leak[0].Change)
	}
	for _, subject := range []string{"app trouble/staging", "app sawtooth/staging", "app pagecache/staging"} {
		if all := incidentsOf(t, subject); len(all) != 0 {
			t.Errorf("A73 %s has done nothing wrong: %+v", subject, all)
		}
	}
	if _, failed := load.stop(); len(failed) > 0 {
		t.Errorf("requests failed meanwhile: %v", failed)
	}
}

// unschedulable makes a Deployment by kubectl, as an owner may, that can't run.
func unschedulable(t *testing.T, name, placed, image string) {
	t.Helper()
	manifest := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"` + name + `","namespace":"` + workspace + `"},"spec":{"replicas":1,
		"selector":{"matchLabels":{"app":"` + name + `"}},"template":{"metadata":{"labels":{"app":"` + name + `"}},"spec":{` + placed + `
		"securityContext":{"runAsNonRoot":true,"runAsUser":10001,"seccompProfile":{"type":"RuntimeDefault"}},
		"containers":[{"name":"app","image":"` + image + `","resources":{"requests":{"cpu":"10m","memory":"16Mi"},"limits":{"cpu":"100m","memory":"32Mi"}},
		"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}}}`
	file := t.TempDir() + "/deployment.json"
	write(t, file, manifest)
	if out, err := kubectl(t, "apply", "-f", file); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := kubectlWith(context.Background(), "-n", workspace, "delete", "deployment", name, "--ignore-not-found"); err != nil {
			t.Logf("deleting %s: %v\n%s", name, err, out)
		}
	})
}
