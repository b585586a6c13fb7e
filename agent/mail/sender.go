// Package mail brings reports to a mailbox, by SMTP.
package mail

import (
	"crypto/tls"
	"net"
	"net/mail"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
)

// How the connection to a mail server is secured.
const (
	SecurityStartTLS = "starttls" // the default; without it nothing is sent
	SecurityTLS      = "tls"
	SecurityNone     = "none"
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
		if _, err := mail.ParseAddress(a.text); err != nil {
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
