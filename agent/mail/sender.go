// Package mail brings reports to a mailbox, by SMTP.
package mail

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"hks.dev/hks/agent"
)

// How the connection to a mail server is secured.
const (
	SecurityStartTLS = "starttls" // the default; without it nothing is sent
	SecurityTLS      = "tls"
	SecurityNone     = "none"
)

const (
	stepTimeout = 15 * time.Second // of each step of a conversation
	mostFailure = 400              // bytes of a server's words
)

// Config is what the sender needs.
type Config struct {
	TLS *tls.Config // nil: the system's authorities
}

// Sender sends to channels of the kind email. It is safe for concurrent use.
type Sender struct{ tls *tls.Config }

// New makes a sender; nothing is dialled.
func New(cfg Config) (*Sender, error) { return &Sender{tls: cfg.TLS}, nil }

// Check tells what is wrong with a channel's settings, as an *agent.Error;
// nothing is dialled.
func (s *Sender) Check(c agent.Channel) error {
	if host, port, err := net.SplitHostPort(c.Server); err != nil || host == "" || strings.ContainsAny(host, " \r\n/") || !portOK(port) {
		return agent.Errorf(agent.CodeInvalid, "give it as HOST:PORT, such as smtp.example.com:587", "%q is not the address of a mail server", c.Server)
	}
	for _, a := range []struct{ what, text string }{{"sender", c.From}, {"receiver", c.To}} {
		if _, err := netmail.ParseAddress(a.text); err != nil {
			return agent.Errorf(agent.CodeInvalid, "give it as name@example.com", "the %s %q is not an e-mail address", a.what, a.text)
		}
	}
	switch c.Security {
	case "", SecurityStartTLS, SecurityTLS:
	case SecurityNone:
		if c.Password != "" {
			return agent.Errorf(agent.CodeInvalid, "use starttls or tls, or leave the password out", "a password is not sent over an open connection")
		}
	default:
		return agent.Errorf(agent.CodeInvalid, "use starttls, tls or none", "%q is no way to secure a connection", c.Security)
	}
	if (c.Username == "") != (c.Password == "") {
		return agent.Errorf(agent.CodeInvalid, "give both, or neither", "a user at the mail server needs a password, and a password a user")
	}
	return nil
}

func portOK(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// Send sends one mail. All mails of an incident are one thread: the ref is
// the Message-ID of its first. A message that is tried again has the same
// Message-ID, so that servers drop one that arrived after all. An error is an
// *agent.SendError.
func (s *Sender) Send(ctx context.Context, c agent.Channel, m agent.Message) (string, error) {
	if err := s.Check(c); err != nil {
		return "", &agent.SendError{Final: true, Cause: withFix(err)}
	}
	message, id, err := compose(c, m)
	if err != nil {
		return "", &agent.SendError{Final: true, Cause: fmt.Errorf("writing the mail: %w", err)}
	}
	client, err := s.client(c)
	if err != nil {
		return "", &agent.SendError{Final: true, Cause: fmt.Errorf("preparing the mail: %w", err)}
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil && !message.IsDelivered() {
		return "", explain(err, c)
	}
	if threaded(m) {
		return m.Ref, nil
	}
	return id, nil
}

func (s *Sender) client(c agent.Channel) (*mail.Client, error) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{}
	if s.tls != nil {
		secure = s.tls.Clone()
	}
	if secure.ServerName == "" {
		secure.ServerName = host
	}
	secure.MinVersion = max(secure.MinVersion, tls.VersionTLS12)
	options := []mail.Option{mail.WithPort(number), mail.WithTimeout(stepTimeout), mail.WithTLSConfig(secure)}
	switch c.Security {
	case SecurityTLS:
		options = append(options, mail.WithSSL())
	case SecurityNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.Username), mail.WithPassword(c.Password))
	}
	return mail.NewClient(host, options...)
}

var idGrammar = regexp.MustCompile(`^[a-z0-9.]{8,80}@[A-Za-z0-9.\-]{1,255}$`)

// threaded tells whether a message belongs to an earlier one.
func threaded(m agent.Message) bool {
	return m.Report.Incident != nil && m.Report.Kind != agent.ReportOpened && idGrammar.MatchString(m.Ref)
}

// compose writes a mail, and its Message-ID.
func compose(c agent.Channel, m agent.Message) (*mail.Msg, string, error) {
	message := mail.NewMsg()
	if err := errors.Join(message.From(c.From), message.To(c.To)); err != nil {
		return nil, "", err
	}
	id := messageID(c, m.Report)
	message.SetMessageIDWithValue(id)
	message.SetDate()
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetGenHeader("X-Hks-Event", line(m.Report.Kind))
	if threaded(m) {
		message.SetGenHeader(mail.HeaderInReplyTo, "<"+m.Ref+">")
		message.SetGenHeader(mail.HeaderReferences, "<"+m.Ref+">")
	}
	message.Subject(subject(m))
	body, err := render(m)
	if err != nil {
		return nil, "", err
	}
	message.SetBodyString(mail.TypeTextPlain, plain(m.Report))
	message.AddAlternativeString(mail.TypeTextHTML, body)
	if len(m.Picture) > 0 {
		if err := message.EmbedReader(pictureName, strings.NewReader(string(m.Picture)), mail.WithFileContentType("image/png"), mail.WithFileContentID("<"+pictureName+">")); err != nil {
			return nil, "", err
		}
	}
	return message, id, nil
}

// messageID is the same for the same report.
func messageID(c agent.Channel, r agent.Report) string {
	hash := sha256.New()
	fmt.Fprintln(hash, c.Name, c.To, r.Kind, r.Text)
	if i := r.Incident; i != nil {
		fmt.Fprintln(hash, i.ID, i.Fingerprint, i.OpenedAt.UnixNano(), i.UpdatedAt.UnixNano(), i.Reopened)
	} else {
		fmt.Fprintln(hash, time.Now().UnixNano()) // a test may be asked for twice
	}
	domain := "hks.invalid"
	if from, err := netmail.ParseAddress(c.From); err == nil {
		if _, host, ok := strings.Cut(from.Address, "@"); ok && idGrammar.MatchString("hks.hks.@"+host) {
			domain = host
		}
	}
	return "hks." + hex.EncodeToString(hash.Sum(nil)[:16]) + "@" + domain
}

// explain turns an error of a conversation into an *agent.SendError.
func explain(err error, c agent.Channel) error {
	fail := func(final bool, format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		if c.Password != "" {
			text = strings.ReplaceAll(text, c.Password, agent.HiddenValue)
		}
		return &agent.SendError{Final: final, Cause: errors.New(text)}
	}
	words := line(err.Error())
	if len(words) > mostFailure {
		words = strings.ToValidUTF8(words[:mostFailure], "") + "…"
	}
	code := 0
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		code, words = e.Code, fmt.Sprintf("%d %s", e.Code, line(e.Msg))
	} else if e, ok := errors.AsType[*mail.SendError](err); ok {
		code = e.ErrorCode()
	}
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538:
		return fail(true, "the mail server does not let us in: %s: check the user and password", words)
	case code >= 500 && code < 600:
		return fail(true, "the mail server refuses: %s", words)
	case code >= 400:
		return fail(false, "the mail server says to try later: %s", words)
	case strings.Contains(words, "does not support STARTTLS"):
		return fail(true, "the mail server has no STARTTLS: use tls, mostly on port 465")
	case strings.Contains(words, "does not support SMTP AUTH"):
		return fail(true, "the mail server takes no password here: use its port for sending, mostly 587 or 465")
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fail(false, "the mail server's certificate is not trusted: %s", line(e.Err.Error()))
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return fail(false, "the mail server did not answer in time")
	}
	if errors.Is(err, io.EOF) {
		return fail(false, "the mail server ended the conversation")
	}
	return fail(false, "the mail server can't be reached: %s", words)
}

// withFix puts what to do into the error's words, as those alone are kept.
func withFix(err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok && e.Fix != "" {
		return fmt.Errorf("%w: %s", err, e.Fix)
	}
	return err
}
