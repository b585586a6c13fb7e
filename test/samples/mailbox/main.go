// Command mailbox is a mail server that keeps what it gets: SMTP on port 1025,
// the mails as they came on /mails of port 8080.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Mail is one mail as it came.
type Mail struct {
	From string   `json:"from"`
	To   []string `json:"to"`
	Text string   `json:"text"`
}

type mailbox struct {
	mu    sync.Mutex // guards mails
	mails []Mail
}

// NewSession begins the talk of one client.
func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

func (b *mailbox) list(w http.ResponseWriter, _ *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(b.mails) // the client is gone, then
}

type session struct {
	box  *mailbox
	mail Mail
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail = Mail{From: from}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	s.mail.Text = string(text)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.mail)
	return nil
}

func (s *session) Reset()        { s.mail = Mail{} }
func (s *session) Logout() error { return nil }

func main() {
	b := &mailbox{mails: []Mail{}}
	post := smtp.NewServer(b)
	post.Addr, post.Domain = ":1025", "mailbox.test"
	post.ReadTimeout, post.WriteTimeout = 10*time.Second, 10*time.Second
	go func() { log.Fatal(post.ListenAndServe()) }()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mails", b.list)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /{$}", b.list)
	web := http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(web.ListenAndServe())
}
