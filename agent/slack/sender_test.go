package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	double "hks.dev/hks/test/slack"
)

// bench is a sender, and the double it sends to.
type bench struct {
	*double.Double
	sender *Sender
	log    *bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	d, err := double.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	log := &bytes.Buffer{}
	s, err := New(Config{HTTP: &http.Client{Timeout: 2 * time.Second}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.settle = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond}
	return &bench{Double: d, sender: s, log: log}
}

func (b *bench) bot() agent.Channel {
	return agent.Channel{Name: "ops", Kind: agent.ChannelSlackBot, Token: double.Token, Target: double.Channel, API: b.API()}
}

func (b *bench) hook() agent.Channel {
	return agent.Channel{Name: "ops", Kind: agent.ChannelSlackWebhook, URL: b.Webhook()}
}

func (b *bench) fault(t *testing.T, f double.Faults) {
	t.Helper()
	if err := b.Set(f); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) send(t *testing.T, c agent.Channel, r agent.Report, ref string) string {
	t.Helper()
	m := agent.Message{Report: r, Ref: ref}
	if r.Chart != nil {
		m.Picture = []byte("a picture")
	}
	ref, err := b.sender.Send(t.Context(), c, m)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestA71OneIncidentIsOneMessageWithAThread(t *testing.T) {
	b := newBench(t)
	ref := b.send(t, b.bot(), leak(agent.ReportOpened), "")
	first := b.Messages()[0]
	if len(first.Files) != 1 || len(first.Mentions) > 0 || !strings.HasPrefix(first.Text, "web/production holds") || first.Thread != "" {
		t.Fatalf("the first message: %+v", first)
	}
	if data, ok := b.File(first.Files[0]); !ok || string(data) != "a picture" {
		t.Errorf("the file: %q, %v", data, ok)
	}
	if want := double.Channel + ":" + first.TS + ":" + first.Files[0]; ref != want {
		t.Errorf("the ref is %s, not %s", ref, want)
	}
	for _, kind := range []string{agent.ReportReminder, agent.ReportWorse, agent.ReportResolved, agent.ReportReopened, agent.ReportFlapping} {
		if again := b.send(t, b.bot(), leak(kind), ref); again != ref {
			t.Errorf("%s: the ref becomes %s", kind, again)
		}
	}
	all := b.Messages()
	if len(all) != 6 {
		t.Fatalf("%d messages, not the first and 5 replies", len(all))
	}
	for n, m := range all[1:] {
		if m.Thread != first.TS {
			t.Errorf("message %d is not in the thread: %+v", n+1, m)
		}
		if m.Broadcast != (n == 1) {
			t.Errorf("message %d: broadcast %v", n+1, m.Broadcast)
		}
	}
	now := all[0]
	if len(now.Edits) != 1 || string(now.Edits[0].Blocks) != string(first.Blocks) {
		t.Errorf("%d edits", len(now.Edits))
	}
	for _, want := range []string{"✅ Resolved: Memory", "What it was: web/production holds 330 MiB", first.Files[0], "230 MiB in 23 h"} {
		if !strings.Contains(string(now.Blocks), want) {
			t.Errorf("%q is missing in what became of the first message:\n%s", want, now.Blocks)
		}
	}
	if len(b.Hooks()) > 0 || b.log.Len() > 0 {
		t.Errorf("there was trouble: %s", b.log)
	}
}

func TestA71TestMessage(t *testing.T) {
	b := newBench(t)
	for _, c := range []agent.Channel{b.bot(), b.hook()} {
		b.send(t, c, agent.Report{Kind: agent.ReportTest, Text: "This is a test: reports of hks come here."}, "")
	}
	for _, m := range b.Messages() {
		if !strings.Contains(string(m.Blocks), "Test message of hks") || !strings.Contains(m.Text, "reports of hks come here") {
			t.Errorf("%+v", m)
		}
	}
	if n := len(b.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestA71Webhook(t *testing.T) {
	b := newBench(t)
	for _, kind := range []string{agent.ReportOpened, agent.ReportResolved} {
		if ref := b.send(t, b.hook(), leak(kind), ""); ref != "" {
			t.Errorf("a ref of a webhook: %s", ref)
		}
	}
	all := b.Messages()
	if len(all) != 2 || len(all[0].Files) > 0 {
		t.Fatalf("%+v", all)
	}
	for n, want := range [][]string{{"Warning: Memory", "▁▁▁▂", "hks.example.com/incidents/7", "hks rollback"}, {"✅ Resolved: Memory", "Resolved after 23 h"}} {
		for _, w := range want {
			if !strings.Contains(string(all[n].Blocks), w) {
				t.Errorf("%q is missing in message %d:\n%s", w, n, all[n].Blocks)
			}
		}
	}
	if strings.Contains(string(all[1].Blocks), "rollback") {
		t.Errorf("there is something to do after the end:\n%s", all[1].Blocks)
	}
}

func TestA71PictureNeverBlocksTheText(t *testing.T) {
	tests := []struct {
		name   string
		faults double.Faults
		files  int
		blocks bool
		want   string // in the message or the log
	}{
		{"upload fails", double.Faults{Upload: true}, 0, true, "no picture: Slack says 500"},
		{"taken in late", double.Faults{Settle: 100}, 1, true, `"slack_file"`},
		{"never taken in", double.Faults{Settle: 60_000}, 0, true, "no picture: Slack says invalid_blocks"},
		{"invalid blocks once", double.Faults{InvalidBlocks: 1}, 0, true, "▁▁▁▂"},
		{"invalid blocks", double.Faults{InvalidBlocks: 99}, 0, false, "hks rollback web --env production --to 11"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.fault(t, test.faults)
			b.send(t, b.bot(), leak(agent.ReportOpened), "")
			all := b.Messages()
			if len(all) != 1 {
				t.Fatalf("%d messages", len(all))
			}
			if m := all[0]; len(m.Files) != test.files || (len(m.Blocks) > 2) != test.blocks || !strings.Contains(m.Text+string(m.Blocks), test.want) {
				t.Errorf("%d files; %s\n%s", len(m.Files), m.Text, m.Blocks)
			}
			if len(b.Messages()[0].Edits) > 0 {
				t.Error("it was edited")
			}
		})
	}
}

func TestWebhookFallsBackToPlainText(t *testing.T) {
	b := newBench(t)
	b.fault(t, double.Faults{InvalidBlocks: 99})
	b.send(t, b.hook(), leak(agent.ReportOpened), "")
	if all := b.Messages(); len(all) != 1 || len(all[0].Blocks) > 0 || !strings.Contains(all[0].Text, "hks rollback") {
		t.Errorf("%+v", all)
	}
}

func TestThreadThatIsGone(t *testing.T) {
	b := newBench(t)
	ref := b.send(t, b.bot(), leak(agent.ReportOpened), "")
	b.Delete(b.Messages()[0].TS)
	next := b.send(t, b.bot(), leak(agent.ReportResolved), ref)
	all := b.Messages()
	if len(all) != 2 || all[1].Thread != "" || next == ref || !strings.HasPrefix(next, double.Channel+":"+all[1].TS) {
		t.Errorf("ref %s; %+v", next, all)
	}
	// One that Slack has never heard of, and one of another channel.
	for _, strange := range []string{double.Channel + ":1.000001", "C0OTHER0001:1.000001", "nonsense", "<id@mail>"} {
		before := len(b.Messages())
		if next = b.send(t, b.bot(), leak(agent.ReportResolved), strange); len(b.Messages()) != before+1 || next == strange {
			t.Errorf("%s: %d messages, ref %s", strange, len(b.Messages())-before, next)
		}
	}
}

func TestResolvedIsTriedAgainWithoutASecondReply(t *testing.T) {
	b := newBench(t)
	ref := b.send(t, b.bot(), leak(agent.ReportOpened), "")
	b.fault(t, double.Faults{Down: double.DownError})
	for range 2 {
		if _, err := b.sender.Send(t.Context(), b.bot(), agent.Message{Report: leak(agent.ReportResolved), Ref: ref}); err == nil {
			t.Fatal("sent while Slack is down")
		}
	}
	b.fault(t, double.Faults{})
	b.send(t, b.bot(), leak(agent.ReportResolved), ref)
	if n := len(b.Messages()); n != 2 {
		t.Errorf("%d messages, not the first and one reply", n)
	}
}

func TestA72Errors(t *testing.T) {
	tests := []struct {
		name   string
		faults double.Faults
		final  bool
		after  time.Duration
		want   string
	}{
		{"429", double.Faults{RateLimit: 9, RetryAfter: 17}, false, 17 * time.Second, "wait 17s"},
		{"429 without a time", double.Faults{RateLimit: 9}, false, 30 * time.Second, "too many messages"},
		{"503", double.Faults{Down: double.DownError}, false, 0, "503"},
		{"refused", double.Faults{Down: double.DownRefused}, false, 0, "refused"},
		{"no answer", double.Faults{Down: double.DownHang}, false, 0, "in time"},
		{"answer lost", double.Faults{Lost: 9}, false, 0, "can't be reached"},
		{"invalid_auth", double.Faults{Error: "invalid_auth"}, true, 0, "invalid_auth: make a new token"},
		{"account_inactive", double.Faults{Error: "account_inactive"}, true, 0, "account_inactive"},
		{"missing_scope", double.Faults{Error: "missing_scope"}, true, 0, "chat:write"},
		{"not_in_channel", double.Faults{Error: "not_in_channel"}, true, 0, "/invite"},
		{"is_archived", double.Faults{Error: "is_archived"}, true, 0, "unarchive"},
		{"internal_error", double.Faults{Error: "internal_error"}, false, 0, "internal_error"},
		{"no_service", double.Faults{Error: "no_service"}, true, 0, "no_service: the webhook was removed"},
		{"channel_is_archived", double.Faults{Error: "channel_is_archived"}, true, 0, "unarchive"},
		{"rollup_error", double.Faults{Error: "rollup_error"}, false, 0, "rollup_error"},
		{"action_prohibited", double.Faults{Error: "action_prohibited"}, true, 0, "administrator"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.sender.http.Timeout = 500 * time.Millisecond
			b.fault(t, test.faults)
			for _, c := range []agent.Channel{b.bot(), b.hook()} {
				_, err := b.sender.Send(t.Context(), c, agent.Message{Report: leak(agent.ReportOpened)})
				e, ok := errors.AsType[*agent.SendError](err)
				if !ok {
					t.Fatalf("%s: %v is no SendError", c.Kind, err)
				}
				if e.Final != test.final || e.After != test.after || !strings.Contains(e.Error(), test.want) {
					t.Errorf("%s: final %v, after %s: %s", c.Kind, e.Final, e.After, e)
				}
				for _, secret := range []string{double.Token, "secretOfTheWebhook"} {
					if strings.Contains(e.Error()+b.log.String(), secret) {
						t.Errorf("%s: the error or log tells the secret: %s\n%s", c.Kind, e, b.log)
					}
				}
			}
		})
	}
}

func TestA72NotSlackAtAll(t *testing.T) {
	answers := map[string]struct {
		code  int
		body  string
		final [2]bool // by bot, by webhook
	}{
		"page of a proxy": {200, "<html>Log in</html>", [2]bool{false, true}},
		"empty object":    {200, "{}", [2]bool{false, true}},
		"ok is false":     {200, `{"ok":false,"error":"invalid_auth"}`, [2]bool{true, true}},
		"redirect":        {302, "", [2]bool{true, true}},
		"not found":       {404, "", [2]bool{true, true}},
		"gateway":         {502, "<html>", [2]bool{false, false}},
		"gone":            {410, "gone", [2]bool{true, true}},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			elsewhere := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				elsewhere = elsewhere || r.URL.Path == "/elsewhere"
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(answer.code)
				_, _ = w.Write([]byte(answer.body))
			}))
			defer server.Close()
			s, err := New(Config{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			for n, c := range []agent.Channel{
				{Kind: agent.ChannelSlackBot, Token: double.Token, Target: double.Channel, API: server.URL}, {Kind: agent.ChannelSlackWebhook, URL: server.URL + "/services/secret"},
			} {
				_, err := s.Send(t.Context(), c, agent.Message{Report: leak(agent.ReportOpened)})
				e, ok := errors.AsType[*agent.SendError](err)
				if !ok || e.Final != answer.final[n] {
					t.Errorf("%s: %v", c.Kind, err)
				}
				if strings.Contains(err.Error(), "/services/secret") {
					t.Errorf("the error tells the secret: %v", err)
				}
			}
			if elsewhere {
				t.Error("it went where the answer sent it")
			}
		})
	}
}

func TestDialErrorsTellNoSecret(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 {
		_, err = s.Send(ctx, agent.Channel{Kind: agent.ChannelSlackWebhook, URL: "http://" + address + "/services/T1/B2/secret"}, agent.Message{Report: leak(agent.ReportOpened)})
		e, ok := errors.AsType[*agent.SendError](err)
		if !ok || e.Final || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
		cancel() // the second time
	}
}

func TestCheck(t *testing.T) {
	good := agent.Channel{Kind: agent.ChannelSlackBot, Token: "xoxb-1", Target: "C0123456789"}
	with := func(change func(*agent.Channel)) agent.Channel { c := good; change(&c); return c }
	tests := []struct {
		name string
		c    agent.Channel
		ok   bool
	}{
		{"good", good, true},
		{"private channel", with(func(c *agent.Channel) { c.Target = "G0123456789" }), true},
		{"proxy", with(func(c *agent.Channel) { c.API = "https://proxy.example.com/api" }), true},
		{"loopback", with(func(c *agent.Channel) { c.API = "http://127.0.0.1:7070/api/" }), true},
		{"in the clear", with(func(c *agent.Channel) { c.API = "http://proxy.example.com/api/" }), false},
		{"no token", with(func(c *agent.Channel) { c.Token = "" }), false},
		{"token of something else", with(func(c *agent.Channel) { c.Token = "ghp_1" }), false},
		{"token with a line", with(func(c *agent.Channel) { c.Token = "xoxb-1\r\nx: y" }), false},
		{"name for an id", with(func(c *agent.Channel) { c.Target = "#ops" }), false},
		{"webhook", agent.Channel{Kind: agent.ChannelSlackWebhook, URL: "https://hooks.slack.com/services/T1/B2/x"}, true},
		{"webhook in the clear", agent.Channel{Kind: agent.ChannelSlackWebhook, URL: "http://hooks.slack.com/services/T1/B2/x"}, false},
		{"webhook with a password", agent.Channel{Kind: agent.ChannelSlackWebhook, URL: "https://a:b@hooks.slack.com/services/T1/B2/x"}, false},
		{"no address", agent.Channel{Kind: agent.ChannelSlackWebhook}, false},
		{"other kind", agent.Channel{Kind: agent.ChannelEmail}, false},
	}
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		err := s.Check(test.c)
		if (err == nil) != test.ok || err != nil && agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && test.c.URL != "" && strings.Contains(err.Error(), test.c.URL) {
			t.Errorf("%s: the error tells the address", test.name)
		}
	}
}

func TestControl(t *testing.T) {
	b := newBench(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.Control()+"/faults", strings.NewReader(`{"down":"refused"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	if _, err := b.sender.Send(t.Context(), b.hook(), agent.Message{Report: leak(agent.ReportOpened)}); err == nil {
		t.Fatal("sent while Slack is down")
	}
	b.fault(t, double.Faults{})
	b.send(t, b.hook(), leak(agent.ReportOpened), "")
	answer, err = http.Get(b.Control() + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var all []double.Message
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil || len(all) != 1 {
		t.Errorf("%d messages, %v", len(all), err)
	}
}

func TestAnExplanationChangesTheFirstMessage(t *testing.T) {
	b := newBench(t)
	r := leak(agent.ReportOpened)
	r.Incident.Explanation = ""
	ref := b.send(t, b.bot(), r, "")
	explained := leak(agent.ReportExplained)
	explained.Incident.Explanation = "The release keeps each request."
	if again := b.send(t, b.bot(), explained, ref); again != ref {
		t.Errorf("the ref becomes %s", again)
	}
	b.send(t, b.bot(), explained, "") // its message was never sent
	b.send(t, b.hook(), explained, "")
	all := b.Messages()
	if len(all) != 1 || len(all[0].Edits) != 1 || len(b.Hooks()) != 0 || !strings.Contains(string(all[0].Blocks), "The release keeps each request.") {
		t.Errorf("%d messages: %+v", len(all), all)
	}
}
