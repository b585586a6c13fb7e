package mail

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const password = "the-password-of-ada"

// server is a double of a mail server.
type server struct {
	net.Listener
	secure  *tls.Config
	trusted *x509.CertPool

	mu       sync.Mutex
	offers   []string          // extensions
	faults   map[string]string // replies by verb; CONNECT is the greeting, END the end of a mail
	implicit bool              // TLS from the first byte
	mails    []string
	from, to string
	secured  bool // the last mail came by TLS
	known    bool // the last one who sent a mail had logged in
}

func newServer(t *testing.T, implicit bool) *server {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		Listener: l, secure: &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}, trusted: x509.NewCertPool(), implicit: implicit,
		offers: []string{"STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME"}, faults: map[string]string{},
	}
	s.trusted.AddCert(web.Certificate())
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
	return s
}

// talk is one conversation.
func (s *server) talk(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	secured, known := s.implicit, false
	if s.implicit {
		c = tls.Server(c, s.secure)
	}
	in := bufio.NewReader(c)
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	fault := func(verb string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		reply, ok := s.faults[verb]
		if ok {
			say("%s", reply)
		}
		return ok
	}
	if fault("CONNECT") {
		return
	}
	say("220 double")
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimRight(text, "\r\n")
		verb, rest, _ := strings.Cut(text, " ")
		if verb = strings.ToUpper(verb); fault(verb) {
			continue
		}
		switch verb {
		case "EHLO":
			s.mu.Lock()
			offers := s.offers
			s.mu.Unlock()
			if secured {
				offers = slices.DeleteFunc(slices.Clone(offers), func(o string) bool { return o == "STARTTLS" })
			}
			say("250-double")
			for _, o := range offers {
				say("250-%s", o)
			}
			say("250 HELP")
		case "STARTTLS":
			say("220 go on")
			c, secured = tls.Server(c, s.secure), true
			in = bufio.NewReader(c)
		case "AUTH":
			data, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if known = string(data) == "\x00ada\x00"+password; !known {
				say("535 5.7.8 wrong user or password")
				continue
			}
			say("235 welcome")
		case "MAIL":
			s.mu.Lock()
			s.from = rest
			s.mu.Unlock()
			say("250 ok")
		case "RCPT":
			s.mu.Lock()
			s.to = rest
			s.mu.Unlock()
			say("250 ok")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(l, "."))
			}
			if fault("END") {
				continue
			}
			s.mu.Lock()
			s.mails, s.secured, s.known = append(s.mails, b.String()), secured, known
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}
