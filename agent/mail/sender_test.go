package mail

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func leak(kind string) agent.Report {
	c := &agent.Chart{Title: "Memory of web/production", Unit: "bytes", Limit: 512 << 20}
	for n := range 24 {
		c.Points = append(c.Points, agent.SeriesPoint{Time: noon.Add(time.Duration(n) * time.Hour), Mean: float64(100+10*n) * (1 << 20)})
	}
	i := &agent.Incident{
		ID: 7, Detector: "memory-leak", Severity: agent.SeverityWarning, Title: "Memory of web/production grows", Subject: agent.Subject{Kind: agent.SubjectApp, Name: "web", Environment: "production"},
		Summary: "It holds 330 MiB of 512 MiB & grows.", Evidence: []agent.Fact{{Name: "growth", Value: "230 MiB in 23 h", Why: "it never came back"}}, RuledOut: []string{"page cache"},
		Remedies: []agent.Remedy{{Title: "Go back", Command: "hks rollback web --env production", Kubectl: "kubectl rollout undo deployment/web"}},
		Logs:     []string{"heap <b>grows</b>", "</pre><script>alert(1)</script>"}, Since: noon.Add(2 * time.Hour), OpenedAt: noon.Add(3 * time.Hour),
		Change: &agent.CauseChange{Release: 12, Why: "deploy", By: "ada", At: noon.Add(time.Hour)},
	}
	r := agent.Report{Kind: kind, Incident: i, Text: i.Summary, Link: "https://hks.example.com/incidents/7", Chart: c}
	if kind == agent.ReportResolved {
		i.ResolvedAt, r.Text = noon.Add(26*time.Hour), "Resolved after 23 h."
	}
	return r
}

func (s *server) channel(security string) agent.Channel {
	c := agent.Channel{Name: "post", Kind: agent.ChannelEmail, Server: s.Addr().String(), From: "hks <hks@example.com>", To: "ada@example.com", Security: security}
	if security != SecurityNone {
		c.Username, c.Password = "ada", password
	}
	return c
}

func (s *server) sender(t *testing.T) *Sender {
	t.Helper()
	sender, err := New(Config{TLS: &tls.Config{RootCAs: s.trusted, MinVersion: tls.VersionTLS12}})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// read takes a mail apart: its header, and its parts by type.
func read(t *testing.T, raw string) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	var walk func(kind, encoding, id string, body io.Reader)
	walk = func(kind, encoding, id string, body io.Reader) {
		kind, params, err := mime.ParseMediaType(kind)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(kind, "multipart/") {
			for r := multipart.NewReader(body, params["boundary"]); ; {
				p, err := r.NextRawPart()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				walk(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-ID"), p)
			}
		}
		switch encoding {
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		parts[kind+id] = strings.ReplaceAll(string(data), "\r\n", "\n")
	}
	walk(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body)
	return m.Header, parts
}

func TestA71MailHasAllOfIt(t *testing.T) {
	for _, security := range []string{SecurityStartTLS, SecurityTLS, SecurityNone, ""} {
		t.Run(security, func(t *testing.T) {
			s := newServer(t, security == SecurityTLS)
			picture := bytes.Repeat([]byte("\x89PNG"), 500)
			ref, err := s.sender(t).Send(t.Context(), s.channel(security), agent.Message{Report: leak(agent.ReportOpened), Picture: picture})
			if err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.secured != (security != SecurityNone) || s.known != (security != SecurityNone) || !strings.Contains(s.from, "<hks@example.com>") || !strings.Contains(s.to, "<ada@example.com>") {
				t.Errorf("by TLS %v, logged in %v, from %s, to %s", s.secured, s.known, s.from, s.to)
			}
			header, parts := read(t, s.mails[0])
			if header.Get("Message-ID") != "<"+ref+">" || header.Get("Subject") != "[hks] Memory of web/production grows" || header.Get("Auto-Submitted") != "auto-generated" || header.Get("In-Reply-To") != "" {
				t.Errorf("ref %s, header %v", ref, header)
			}
			if got := parts["image/png<chart.png>"]; got != string(picture) {
				t.Errorf("the picture has %d bytes; parts %v", len(got), keys(parts))
			}
			for kind, wants := range map[string][]string{
				"text/plain": {"Warning: Memory of web/production grows", "330 MiB of 512 MiB & grows.", "growth 230 MiB in 23 h -> it never came back", "1. Go back\n   hks rollback web --env production\n   kubectl rollout undo", "▁▁", "12, deploy by ada", "https://hks.example.com/incidents/7", "heap <b>grows</b>", "Ruled out\npage cache"},
				"text/html":  {"330 MiB of 512 MiB &amp; grows.", `<img src="cid:chart.png" alt="Memory of web/production: from 100 MiB to 330 MiB`, "<pre>hks rollback web --env production</pre>", "heap &lt;b&gt;grows", `<a href="https://hks.example.com/incidents/7">`},
			} {
				for _, want := range wants {
					if !strings.Contains(parts[kind], want) {
						t.Errorf("%q is missing in the %s:\n%s", want, kind, parts[kind])
					}
				}
			}
			if strings.Contains(parts["text/html"], "<script") {
				t.Error("the log's script is in the mail")
			}
		})
	}
}

func keys(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestA71MailsOfAnIncidentAreOneThread(t *testing.T) {
	s := newServer(t, false)
	sender := s.sender(t)
	ref, err := sender.Send(t.Context(), s.channel(""), agent.Message{Report: leak(agent.ReportOpened)})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{"<" + ref + ">": true}
	for _, kind := range []string{agent.ReportWorse, agent.ReportResolved} {
		again, err := sender.Send(t.Context(), s.channel(""), agent.Message{Report: leak(kind), Ref: ref})
		if err != nil || again != ref {
			t.Fatalf("%s: ref %s, %v", kind, again, err)
		}
		all := s.all()
		header, parts := read(t, all[len(all)-1])
		if header.Get("In-Reply-To") != "<"+ref+">" || header.Get("References") != "<"+ref+">" || header.Get("Subject") != "Re: [hks] Memory of web/production grows" || ids[header.Get("Message-ID")] {
			t.Errorf("%s: %v", kind, header)
		}
		ids[header.Get("Message-ID")] = true
		if kind == agent.ReportResolved && (!strings.HasPrefix(parts["text/plain"], "Resolved: Memory") || strings.Contains(parts["text/plain"], "rollback")) {
			t.Errorf("%s", parts["text/plain"])
		}
	}
}

func TestMailTriedAgainHasTheSameID(t *testing.T) {
	s := newServer(t, false)
	var refs []string
	for range 2 {
		ref, err := s.sender(t).Send(t.Context(), s.channel(""), agent.Message{Report: leak(agent.ReportOpened)})
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	if refs[0] != refs[1] {
		t.Errorf("%v", refs)
	}
}

func TestMailHeadersCannotBeBrokenInto(t *testing.T) {
	s := newServer(t, false)
	r := leak(agent.ReportOpened)
	r.Incident.Title = "x\r\nBcc: eve@example.com\r\n\r\n<script>" + strings.Repeat("漢", 500)
	if _, err := s.sender(t).Send(t.Context(), s.channel(""), agent.Message{Report: r, Ref: "evil\r\nBcc: eve@example.com"}); err != nil {
		t.Fatal(err)
	}
	header, _ := read(t, s.all()[0])
	if header.Get("Bcc") != "" || header.Get("In-Reply-To") != "" {
		t.Errorf("%v", header)
	}
}

func TestA72MailErrors(t *testing.T) {
	tests := []struct {
		name   string
		faults map[string]string
		offers []string
		change func(*agent.Channel)
		final  bool
		want   string
	}{
		{"greylisted", map[string]string{"RCPT": "451 4.7.1 come back in 5 minutes"}, nil, nil, false, "come back in 5 minutes"},
		{"mailbox full", map[string]string{"END": "452 4.2.2 mailbox is full"}, nil, nil, false, "mailbox is full"},
		{"too busy", map[string]string{"CONNECT": "421 too busy"}, nil, nil, false, "too busy"},
		{"no such user", map[string]string{"RCPT": "550 5.1.1 no such user"}, nil, nil, true, "no such user"},
		{"sender refused", map[string]string{"MAIL": "553 5.7.1 not your address"}, nil, nil, true, "not your address"},
		{"spam", map[string]string{"END": "554 5.7.1 this is spam"}, nil, nil, true, "this is spam"},
		{"wrong password", nil, nil, func(c *agent.Channel) { c.Password = "not-it" }, true, "check the user and password"},
		{"no starttls", nil, []string{"8BITMIME"}, nil, true, "no STARTTLS"},
		{"no login", nil, []string{"STARTTLS"}, nil, true, "takes no password"},
		{"nobody there", nil, nil, func(c *agent.Channel) { c.Server = "127.0.0.1:1" }, false, "can't be reached"},
		{"settings", nil, nil, func(c *agent.Channel) { c.To = "nobody" }, true, "no"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, false)
			s.mu.Lock()
			maps.Copy(s.faults, test.faults)
			if test.offers != nil {
				s.offers = test.offers
			}
			s.mu.Unlock()
			c := s.channel("")
			if test.change != nil {
				test.change(&c)
			}
			_, err := s.sender(t).Send(t.Context(), c, agent.Message{Report: leak(agent.ReportOpened)})
			e, ok := errors.AsType[*agent.SendError](err)
			if !ok || e.Final != test.final || !strings.Contains(e.Error(), test.want) {
				t.Errorf("%+v", err)
			}
			if err != nil && strings.Contains(err.Error(), c.Password) {
				t.Errorf("the error tells the password: %v", err)
			}
			if len(s.all()) > 0 {
				t.Error("a mail arrived")
			}
		})
	}
}

func TestMailToUntrustedServerIsNotSent(t *testing.T) {
	s := newServer(t, false)
	sender, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sender.Send(t.Context(), s.channel(""), agent.Message{Report: leak(agent.ReportOpened)})
	if e, ok := errors.AsType[*agent.SendError](err); !ok || !strings.Contains(e.Error(), "certificate is not trusted") || len(s.all()) > 0 {
		t.Errorf("%v, %d mails", err, len(s.all()))
	}
}

func TestMailCheck(t *testing.T) {
	good := agent.Channel{Kind: agent.ChannelEmail, Server: "smtp.example.com:587", From: "hks@example.com", To: "ada@example.com", Username: "ada", Password: "x"}
	with := func(change func(*agent.Channel)) agent.Channel { c := good; change(&c); return c }
	tests := map[string]struct {
		c  agent.Channel
		ok bool
	}{
		"good":               {good, true},
		"no port":            {with(func(c *agent.Channel) { c.Server = "smtp.example.com" }), false},
		"port of nothing":    {with(func(c *agent.Channel) { c.Server = "smtp.example.com:0" }), false},
		"no sender":          {with(func(c *agent.Channel) { c.From = "" }), false},
		"two receivers":      {with(func(c *agent.Channel) { c.To = "a@example.com, b@example.com" }), false},
		"header in a sender": {with(func(c *agent.Channel) { c.From = "a@example.com\r\nBcc: e@example.com" }), false},
		"no such security":   {with(func(c *agent.Channel) { c.Security = "ssl" }), false},
		"password in clear":  {with(func(c *agent.Channel) { c.Security = SecurityNone }), false},
		"open, no password":  {with(func(c *agent.Channel) { c.Security, c.Username, c.Password = SecurityNone, "", "" }), true},
		"user, no password":  {with(func(c *agent.Channel) { c.Password = "" }), false},
		"neither of the two": {with(func(c *agent.Channel) { c.Username, c.Password = "", "" }), true},
	}
	for name, test := range tests {
		if err := (&Sender{}).Check(test.c); (err == nil) != test.ok || err != nil && agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
