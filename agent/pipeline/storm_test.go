package pipeline

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/github"
)

// examples are GitHub's own payloads of an event, as they are published; they
// come with the browser tests' packages.
func examples(t *testing.T, event string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "test", "browser", "node_modules", "@octokit", "webhooks-examples", "api.github.com", "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the packages of test/browser are not installed: npm ci")
	}
	var all []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if one.Name == event {
			return one.Examples
		}
	}
	t.Fatalf("there are no payloads of %s", event)
	return nil
}

// post delivers a payload as it is.
func (b *bench) post(pipeline, event, id, secret string, body []byte, change func(r *http.Request)) string {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	d, err := b.Receive(b.t.Context(), pipeline, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Outcome
}

func TestA36GitHubsOwnPayloadsSignedTamperedUnsignedReplayedOversized(t *testing.T) {
	pushes, pulls := examples(t, "push"), examples(t, "pull_request")
	if len(pushes) < 7 || len(pulls) < 20 {
		t.Fatalf("%d pushes, %d pull requests", len(pushes), len(pulls))
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(2 * time.Minute)
		var repository struct {
			Repository struct {
				Name string `json:"full_name"`
			}
		}
		if err := json.Unmarshal(pushes[0], &repository); err != nil || repository.Repository.Name == "" {
			t.Fatalf("%+v %v", repository, err)
		}
		p := agent.Pipeline{Name: "hello", Repository: repository.Repository.Name, Branch: "main", PullRequests: true, PromoteTags: "*"}
		if _, err := b.Create(t.Context(), p, "owner"); err != nil {
			t.Fatal(err)
		}
		secret := b.world.hook
		time.Sleep(2 * time.Minute)
		before := b.all()
		n := 0
		for event, payloads := range map[string][]json.RawMessage{"push": pushes, "pull_request": pulls} {
			for _, body := range payloads {
				n++
				id := fmt.Sprintf("%s-%d", event, n)
				signed := b.post("hello", event, id, secret, body, nil)
				if signed != "accepted" && signed != "ignored" {
					t.Errorf("%s, signed: %s\n%.200s", id, signed, body)
				}
				replayed := map[string]string{"accepted": "duplicate", "ignored": "ignored"}[signed]
				for name, tt := range map[string]struct {
					body   []byte
					secret string
					change func(r *http.Request)
					want   string
				}{
					"replayed": {body, secret, nil, replayed},
					"guessed":  {body, "guess", nil, "forged"},
					"tampered": {body, secret, func(r *http.Request) {
						r.Body = http.NoBody
					}, "forged"},
					"unsigned":  {body, secret, func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, "forged"},
					"SHA-1":     {body, secret, func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha1="+strings.Repeat("0", 40)) }, "forged"},
					"oversized": {body, secret, func(r *http.Request) { r.ContentLength = github.MaxPayload + 1 }, "oversized"},
				} {
					if got := b.post("hello", event, id, tt.secret, tt.body, tt.change); got != tt.want {
						t.Errorf("%s, %s: %s, want %s", id, name, got, tt.want)
					}
				}
			}
		}
		time.Sleep(2 * time.Minute)
		if after := b.all(); after != before {
			t.Errorf("payloads alone made runs: %s became %s", before, after)
		}
		if all, err := b.Deliveries(t.Context(), "hello"); err != nil || len(all) < 100 {
			t.Errorf("the ledger has %d, %v", len(all), err)
		}
	})
}

// all are the runs of all pipelines by status.
func (b *bench) all() string {
	b.t.Helper()
	runs, err := b.Runs(b.t.Context(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	counts := map[agent.RunStatus]int{}
	for _, r := range runs {
		counts[r.Status]++
	}
	return fmt.Sprint(counts)
}

func TestABurstOfPushesIsAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		names := []string{"shop"}
		secrets := map[string]string{"shop": b.world.hook}
		for _, name := range []string{"one", "two", "three", "four"} {
			if _, err := b.Create(t.Context(), agent.Pipeline{Name: name, Repository: "octo/" + name}, "owner"); err != nil {
				t.Fatal(err)
			}
			names, secrets[name] = append(names, name), b.world.hook
		}
		most := 0
		for push := range 50 {
			b.set(func() { b.world.head = fmt.Sprintf("%040x", push+1) })
			for _, name := range names {
				b.post(name, "push", fmt.Sprint(name, push), secrets[name], fmt.Appendf(nil, `{"ref":"refs/heads/main","repository":{"full_name":"octo/%s"}}`, name), nil)
			}
			time.Sleep(100 * time.Millisecond)
			unfinished, err := b.store.UnfinishedRuns(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(unfinished))
		}
		time.Sleep(30 * time.Minute)
		if most > 2*len(names) {
			t.Errorf("%d runs were in the queue", most)
		}
		runs, err := b.Runs(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		newest := map[string]agent.Run{}
		for _, r := range runs {
			if !r.Status.Done() {
				t.Errorf("run %d of %s is %s", r.ID, r.Pipeline, r.Status)
			}
			if r.ID > newest[r.Pipeline].ID {
				newest[r.Pipeline] = r
			}
		}
		last := fmt.Sprintf("%040x", 50)
		for _, name := range names {
			if r := newest[name]; r.Commit.SHA != last || r.Status != agent.RunSucceeded {
				t.Errorf("the last run of %s: %+v", name, r)
			}
			accepted := 0
			all, err := b.Deliveries(t.Context(), name)
			for _, d := range all {
				if d.Outcome == "accepted" {
					accepted++
				}
			}
			if err != nil || accepted != 50 {
				t.Errorf("%d of the 50 pushes to %s are in the ledger, %v", accepted, name, err)
			}
		}
	})
}

func TestA38DiesInEachState(t *testing.T) {
	for name, tt := range map[string]struct {
		after   time.Duration
		prepare func(b *bench)
	}{
		"just accepted":   {0, nil},
		"building":        {20 * time.Second, nil},
		"rolling out":     {61 * time.Second, func(b *bench) { b.rollout = agent.ReleaseDeploying }},
		"at its end":      {62 * time.Second, nil},
		"after its end":   {2 * time.Minute, nil},
		"several a build": {10 * time.Second, func(b *bench) { b.slow = time.Minute }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if tt.prepare != nil {
					b.set(func() { tt.prepare(b) })
				}
				for range 3 {
					time.Sleep(tt.after / 3)
					b.halt()
					b.restart()
				}
				b.set(func() { b.rollout = "" })
				time.Sleep(5 * time.Minute)
				b.expect("a manual succeeded")
				if len(b.builds) != 1 || len(b.ended) != 1 {
					t.Errorf("%d builds were begun, the end was told as %v", len(b.builds), b.ended)
				}
			})
		})
	}
}

func TestHostileNamesAndMessagesAreOnlyText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(2 * time.Minute)
		for _, ref := range []string{"refs/heads/$(reboot)", "refs/heads/main;reboot", "refs/heads/../main", "--upload-pack=reboot", "refs/heads/main\x00x", ""} {
			if got := b.deliver("x"+ref, b.world.hook, ref); got != "ignored" {
				t.Errorf("%q was %s", ref, got)
			}
		}
		for _, p := range []agent.Pipeline{
			{Name: "x", Repository: "octo/x", Branch: "$(reboot)"}, {Name: "x", Repository: "octo/x;reboot"}, {Name: "x", Repository: "-x/y"},
			{Name: "../x", Repository: "octo/x"}, {Name: "x", Repository: "octo/x", Folder: "../../etc"},
		} {
			if _, err := b.Create(t.Context(), p, "owner"); agent.CodeOf(err) != agent.CodeInvalid {
				t.Errorf("%+v: %v", p, err)
			}
		}
		b.expect("a manual succeeded")
	})
}
