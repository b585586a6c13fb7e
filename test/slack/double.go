// Package slack is a double of Slack's servers: as much of the Web API, of
// file uploads and of incoming webhooks as reports need, with the limits that
// Slack has. It takes other webhooks too. What it was told is kept and can be
// read; faults can be set.
package slack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What the double knows.
const (
	Token   = "xoxb-4711-double"                                   // of the app
	Channel = "C0DOUBLE01"                                         // which the app is in
	service = "/services/T0DOUBLE01/B0DOUBLE01/secretOfTheWebhook" // the incoming webhook
)

// Message is one that was posted.
type Message struct {
	Channel   string          `json:"channel"`
	TS        string          `json:"ts"`
	Thread    string          `json:"thread_ts,omitempty"`
	Broadcast bool            `json:"broadcast,omitempty"` // a reply that is shown in the channel too
	Webhook   bool            `json:"webhook,omitempty"`   // it came by the incoming webhook
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks,omitempty"`
	Files     []string        `json:"files,omitempty"`    // shown in its blocks
	Mentions  []string        `json:"mentions,omitempty"` // whom it calls
	Edits     []Edit          `json:"edits,omitempty"`    // what it was before, the oldest first
	At        time.Time       `json:"at"`
	Deleted   bool            `json:"deleted,omitempty"`
}

// Edit is what a message was before it was changed.
type Edit struct {
	Text   string          `json:"text"`
	Blocks json.RawMessage `json:"blocks,omitempty"`
	At     time.Time       `json:"at"` // when it was changed
}

// Hook is a call of a webhook that is not Slack's.
type Hook struct {
	Path   string      `json:"path"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	At     time.Time   `json:"at"`
}

// Ways of being down.
const (
	DownRefused = "refused" // no connection
	DownError   = "503"     // every call is answered with it
	DownHang    = "hang"    // no answer
)

// Faults are what goes wrong. Counts go down as they are used up.
type Faults struct {
	Down          string `json:"down,omitempty"`
	RateLimit     int    `json:"ratelimit,omitempty"`      // calls that are answered with 429
	RetryAfter    int    `json:"retry_after,omitempty"`    // seconds that those ask to wait; 0: they do not say
	Pace          bool   `json:"pace,omitempty"`           // 429 for more than a message a second in a channel
	InvalidBlocks int    `json:"invalid_blocks,omitempty"` // messages with blocks that are refused for them
	Error         string `json:"error,omitempty"`          // Slack's word for every call, such as invalid_auth
	Upload        bool   `json:"upload,omitempty"`         // uploads fail
	Settle        int    `json:"settle,omitempty"`         // milliseconds until a complete upload can be shown
	Lost          int    `json:"lost,omitempty"`           // messages that are taken, and whose answer is lost
}

type file struct {
	length   int
	name     string
	data     []byte
	complete time.Time // zero: not yet
}

// Double is Slack, with one workspace, channel, app and webhook. It is safe
// for concurrent use.
type Double struct {
	address string
	control net.Listener

	mu       sync.Mutex // guards the rest
	server   *http.Server
	listener net.Listener
	faults   Faults
	messages []*Message
	hooks    []Hook
	files    map[string]*file
	last     map[string]time.Time // message of a channel
	clock    int64                // of the last ts, microseconds
	refused  int                  // calls that were answered with an error
}

// New serves on two ports of the loopback: Slack itself, and what controls it.
func New() (*Double, error) { return Listen("127.0.0.1:0", "127.0.0.1:0") }

// Listen is New with addresses.
func Listen(address, control string) (*Double, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	d := &Double{address: l.Addr().String(), files: map[string]*file{}, last: map[string]time.Time{}}
	if d.control, err = net.Listen("tcp", control); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	d.serve(l)
	go serve(&http.Server{Handler: d.controls(), ReadHeaderTimeout: time.Minute}, d.control)
	return d, nil
}

func serve(s *http.Server, l net.Listener) { _ = s.Serve(l) } // it ends when it is closed

// serve begins to answer; mu is held, or nobody knows the double yet.
func (d *Double) serve(l net.Listener) {
	d.listener = l
	d.server = &http.Server{Handler: d.handler(), ReadHeaderTimeout: time.Minute}
	go serve(d.server, l)
}

// Close ends it.
func (d *Double) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		_ = d.server.Close()
	}
	_ = d.control.Close()
}

// API is the address for channels of the kind slack-bot.
func (d *Double) API() string { return "http://" + d.address + "/api/" }

// Webhook is the address for channels of the kind slack-webhook.
func (d *Double) Webhook() string { return "http://" + d.address + service }

// HookURL is an address for channels of the kind webhook.
func (d *Double) HookURL(name string) string { return "http://" + d.address + "/hooks/" + name }

// Control is the address of the control API: GET and PUT /faults, GET and
// DELETE /messages, GET /hooks, GET /files/ID.
func (d *Double) Control() string { return "http://" + d.control.Addr().String() }

// Set says what goes wrong from now on; the zero value: nothing.
func (d *Double) Set(f Faults) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case f.Down == DownRefused && d.server != nil:
		_ = d.listener.Close() // the server may not have got it yet
		_ = d.server.Close()
		d.server = nil
	case f.Down != DownRefused && d.server == nil:
		l, err := net.Listen("tcp", d.address)
		if err != nil {
			return fmt.Errorf("coming back: %w", err)
		}
		d.serve(l)
	}
	d.faults = f
	return nil
}

// Faults are those that are left.
func (d *Double) Faults() Faults { d.mu.Lock(); defer d.mu.Unlock(); return d.faults }

// Refused counts the calls that were answered with an error.
func (d *Double) Refused() int { d.mu.Lock(); defer d.mu.Unlock(); return d.refused }

// Messages are those there are, the oldest first.
func (d *Double) Messages() []Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]Message, 0, len(d.messages))
	for _, m := range d.messages {
		all = append(all, *m)
	}
	return all
}

// Hooks are the calls of other webhooks, the oldest first.
func (d *Double) Hooks() []Hook {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Hook{}, d.hooks...)
}

// File is the content of an uploaded file.
func (d *Double) File(id string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[id]
	if !ok || f.complete.IsZero() {
		return nil, false
	}
	return f.data, true
}

// Delete removes a message, as people do by hand.
func (d *Double) Delete(ts string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.find(Channel, ts)
	if m == nil {
		return false
	}
	m.Deleted = true
	return true
}

// Forget drops all messages and calls.
func (d *Double) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages, d.hooks = nil, nil
}

// find looks a message up that was not deleted; mu is held.
func (d *Double) find(channel, ts string) *Message {
	for _, m := range d.messages {
		if m.Channel == channel && m.TS == ts && !m.Deleted {
			return m
		}
	}
	return nil
}

// usable tells whether a file can be shown; mu is held.
func (d *Double) usable(id string) bool {
	f, ok := d.files[id]
	return ok && !f.complete.IsZero() && time.Since(f.complete) >= time.Duration(d.faults.Settle)*time.Millisecond
}

// put keeps a new message; mu is held.
func (d *Double) put(m Message) *Message {
	d.clock = max(d.clock+1, time.Now().UnixMicro())
	m.TS = fmt.Sprintf("%d.%06d", d.clock/1e6, d.clock%1e6)
	m.At = time.Now()
	m.about()
	d.messages = append(d.messages, &m)
	d.last[m.Channel] = m.At
	return &m
}

// about finds out what a message shows and whom it calls.
func (m *Message) about() {
	m.Mentions, m.Files = Mentions(m.Text, m.Blocks), nil
	var blocks []struct {
		File struct {
			ID string `json:"id"`
		} `json:"slack_file"`
	}
	if json.Unmarshal(m.Blocks, &blocks) == nil {
		for _, b := range blocks {
			if b.File.ID != "" {
				m.Files = append(m.Files, b.File.ID)
			}
		}
	}
}

func newFileID() string { return "F" + strings.ToUpper(rand.Text()[:10]) }

// wait blocks until a call is given up.
func wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
}
