package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/test/slack"
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
	restart := func(ctx context.Context, settings string) {
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		kill(t, "agent")
		if out, err := installer(ctx, "up", "--from", appliance.bin); err != nil {
			t.Fatalf("up: %v\n%s", err, out)
		}
	}
	restart(t.Context(), string(before)+fastClock)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		restart(ctx, string(before))
	})
	healthy(t)
}

func incidentsOf(t *testing.T, subject string) []agent.Incident {
	t.Helper()
	return slices.DeleteFunc(ask[[]agent.Incident](t, "incidents", "--all"), func(i agent.Incident) bool { return i.Subject.String() != subject })
}

// channelTo has reports go to a double of Slack, by a bot.
func channelTo(t *testing.T) *slack.Double {
	t.Helper()
	double, err := slack.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	if r := tryInput(t, slack.Token, "notify", "add", "ops", "--slack-bot", "--channel", slack.Channel, "--api", double.API(), "--secret-from-file", "-"); r.exit != 0 {
		t.Fatalf("notify add: %s%s", r.stdout, r.stderr)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "notify", "remove", "ops", "--yes").CombinedOutput(); err != nil {
			t.Logf("removing the channel: %v\n%s", err, out)
		}
	})
	hks(t, "notify", "test", "ops")
	if all := double.Messages(); !slices.ContainsFunc(all, func(m slack.Message) bool { return strings.Contains(m.Text, "test") }) {
		t.Fatalf("A71 the test message: %+v", all)
	}
	double.Forget()
	return double
}

// messagesOf are those that begin a thread and are about a subject; replies
// are those in their threads.
func messagesOf(d *slack.Double, subject string) (first, replies []slack.Message) {
	threads := map[string]bool{}
	for _, m := range d.Messages() {
		if m.Thread == "" && strings.Contains(m.Text, subject) {
			first = append(first, m)
			threads[m.TS] = true
		}
	}
	for _, m := range d.Messages() {
		if m.Thread != "" && threads[m.Thread] {
			replies = append(replies, m)
		}
	}
	return first, replies
}

// TestA70TroubleIsFoundToldAndResolved has a fleet of one image behave badly in
// every way at once, beside others that only look as if they did: exactly the
// right incidents open, each is told once, and each is over after its mend.
// Slack is away at first.
func TestA70TroubleIsFoundToldAndResolved(t *testing.T) {
	quiet(t)
	folder := project(t, "trouble")
	for _, name := range []string{"trouble", "leaky", "sawtooth", "pagecache", "crashy", "sick", "filler", "faulty", "tardy", "parent"} {
		remove(t, name)
	}
	if r := try(t, "deploy", "--source", folder); r.exit != 0 {
		t.Fatalf("%s%s", r.stdout, r.stderr)
	}
	image := show(t, "trouble").Image
	withFastClock(t)
	double := channelTo(t)
	client := browser(t)
	urls := map[string]string{}
	for name, mode := range map[string]string{"leaky": "well", "sawtooth": "sawtooth", "pagecache": "cache", "crashy": "crash", "sick": "well"} {
		urls[name] = deploy(t, name, image, "--env", "MODE="+mode, "--memory", "256Mi", "--cpu", "200m", "--health", "/healthz")
	}
	filler := projectFile(t, strings.Replace("app: filler\ncomponents:\n  web:\n    image: IMAGE\n    port: 8080\n    route: /\n    resources: {cpu: 200m, memory: 256Mi}\n    volumes: [{name: data, path: /data, size: 64Mi}]\n", "IMAGE", image, 1))
	if r := try(t, "deploy", "--source", filler); r.exit != 0 {
		t.Fatalf("%s%s", r.stdout, r.stderr)
	}
	urls["filler"] = show(t, "filler").URL
	for _, name := range []string{"faulty", "tardy", "parent"} {
		urls[name] = deploy(t, name, image, "--env", "MODE=well", "--env", "LOG=yes", "--memory", "128Mi", "--cpu", "100m", "--health", "/healthz")
	}
	drip(t, urls["faulty"])
	drip(t, urls["tardy"])
	usual := time.Now() // since when tardy has been as it usually is
	load := startLoadOf(t, show(t, "trouble").URL, "well")
	if err := double.Set(slack.Faults{Down: slack.DownError}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	hks(t, "env", "set", "leaky", "MODE=leak") // the release that brings the leak
	bad := show(t, "leaky").Release
	get(t, client, urls["sick"]+"/become?mode=sick")
	get(t, client, urls["filler"]+"/become?mode=fill")
	get(t, client, urls["parent"]+"/become?mode=child")
	deployment(t, "nowhere", `"nodeSelector":{"hks.dev/none":"1"},`, image)
	deployment(t, "imageless", "", "registry.hks.internal/none:1")

	want := map[string][]string{
		"app leaky/staging": {detect.MemoryLeak}, "app crashy/staging": {"crash-loop"}, "app sick/staging": {"probe-failing"}, "app filler/staging": {detect.VolumeFull},
		"workspace nowhere": {"unschedulable"}, "workspace imageless": {"image-pull"}, "app parent/staging": {"oom-killed"},
		"app faulty/staging": {detect.ErrorRate, detect.LogNovelty}, "app tardy/staging": {detect.Latency},
	}
	changes := map[string]time.Time{ // once there is enough to compare with
		"faulty/become?mode=errors": usual.Add(100 * time.Second),
		"tardy/become?mode=slow":    usual.Add(200 * time.Second),
	}
	seen := map[string]agent.Incident{}
	eventually(t, 7*time.Minute, func() string {
		for change, due := range changes {
			if time.Now().After(due) {
				name, path, _ := strings.Cut(change, "/")
				get(t, client, urls[name]+"/"+path)
				delete(changes, change)
			}
		}
		for subject, detectors := range want {
			all := incidentsOf(t, subject)
			if len(all) < len(detectors) {
				return fmt.Sprintf("%d of %v of %s after %s", len(all), detectors, subject, time.Since(begin).Round(time.Second))
			}
			if _, ok := seen[subject]; !ok {
				t.Logf("%s: %s after %s", subject, all[0].Title, time.Since(begin).Round(time.Second))
				for _, i := range all {
					if len(all) != len(detectors) || !slices.Contains(detectors, i.Detector) {
						t.Errorf("A74 %s has %+v", subject, all)
					}
				}
				seen[subject] = all[0]
			}
		}
		return ""
	})
	leak := seen["app leaky/staging"]
	if leak.Change == nil || leak.Change.Release != bad || len(leak.Remedies) == 0 || leak.Remedies[0].Action == nil || leak.Remedies[0].Action.Release != leak.Change.Before {
		t.Errorf("A76 the release %d brought it: %+v, %+v", bad, leak.Change, leak.Remedies)
	}
	if app := show(t, "leaky"); app.Instances[0].Restarts > 0 {
		t.Error("A70 the kernel was faster")
	}
	if waiting := ask[[]agent.ReportDelivery](t, "notify", "queue"); len(waiting) < len(want) || waiting[0].State != agent.DeliveryWaiting {
		t.Errorf("A72 the queue: %+v", waiting)
	}
	if err := double.Set(slack.Faults{RateLimit: 2, RetryAfter: 1, Pace: true}); err != nil {
		t.Fatal(err)
	}
	hks(t, "notify", "retry")
	t.Run("A71 each is told once, with evidence and a picture", func(t *testing.T) {
		eventually(t, time.Minute, func() string {
			for subject, detectors := range want {
				if first, _ := messagesOf(double, subjectWords(subject)); len(first) < len(detectors) {
					return "no message about " + subject
				}
			}
			return ""
		})
		for subject, detectors := range want {
			if first, _ := messagesOf(double, subjectWords(subject)); len(first) != len(detectors) {
				t.Errorf("%d messages about %s: %+v", len(first), subject, first)
			}
		}
		first, _ := messagesOf(double, "leaky/staging")
		blocks := string(first[0].Blocks)
		if len(first[0].Files) != 1 || !strings.Contains(blocks, leak.Remedies[0].Command) {
			t.Errorf("the message about the leak: files %v, %s", first[0].Files, blocks)
		}
		if picture, ok := double.File(first[0].Files[0]); !ok || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
			t.Error("its picture is none")
		}
		if crash, _ := messagesOf(double, "crashy/staging"); strings.Contains(string(crash[0].Blocks), "canary-of-the-trouble-log") {
			t.Error("A21 a secret of a log went out")
		}
	})
	t.Run("A73 they are over after their mend, and nothing else was", func(t *testing.T) {
		hks(t, strings.Fields(strings.TrimPrefix(leak.Remedies[0].Command, "hks "))...)
		hks(t, "env", "set", "crashy", "MODE=well")
		hks(t, "env", "set", "sick", "MENDED=yes") // no request reaches it any more, so new instances have to
		get(t, client, urls["filler"]+"/become?mode=well")
		get(t, client, urls["filler"]+"/empty")
		get(t, client, urls["faulty"]+"/become?mode=well")
		get(t, client, urls["tardy"]+"/become?mode=well")
		hks(t, "app", "restart", "parent")
		for _, name := range []string{"nowhere", "imageless"} {
			if out, err := kubectl(t, "-n", workspace, "delete", "deployment", name); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		eventually(t, 4*time.Minute, func() string {
			for subject := range want {
				for _, i := range incidentsOf(t, subject) {
					if i.Open() {
						return subject + " goes on: " + i.Title
					}
				}
				if _, replies := messagesOf(double, subjectWords(subject)); len(replies) == 0 {
					return "its end was not told: " + subject
				}
			}
			return ""
		})
		for subject := range want {
			_, replies := messagesOf(double, subjectWords(subject))
			t.Logf("the end of %s was told %s after it was found", subject, replies[len(replies)-1].At.Sub(incidentsOf(t, subject)[0].ResolvedAt).Round(100*time.Millisecond))
		}
		for _, i := range ask[[]agent.Incident](t, "incidents", "--all") {
			if i.OpenedAt.After(begin) && i.Subject.Kind != agent.SubjectNode && !slices.Contains(want[i.Subject.String()], i.Detector) { // the machine's disk is what it is
				t.Errorf("A73 nothing was wrong with %s: %s (%s)", i.Subject, i.Title, i.Quiet)
			}
		}
	})
	if _, failed := load.stop(); len(failed) > 0 {
		t.Errorf("requests failed meanwhile: %v", failed)
	}
}

// subjectWords are how messages name a subject.
func subjectWords(subject string) string { return strings.TrimPrefix(subject, "app ") }

// deployment makes one by kubectl, as an owner may, that can't run.
func deployment(t *testing.T, name, placed, image string) {
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
