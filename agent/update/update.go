// Package update looks for newer versions of hks: one file at one address,
// which its owner configured, with a signature beside it. Nothing is sent but
// the request for the two.
package update

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"

	"hks.dev/hks/agent"
)

const (
	maxFile   = 64 << 10
	within    = 20 * time.Second
	lookEvery = 24 * time.Hour
	lookAgain = time.Hour // after a failure
)

// Config says where to look. Without a URL nobody is asked anything.
type Config struct {
	URL     string // of the file; its signature is at URL.sig
	Key     string // Ed25519 public key, base64
	Version string // that runs
	HTTP    *http.Client
	Publish func(kind, subject string, object any)
	Now     func() time.Time
	Log     *slog.Logger
}

// latest is what the file says.
type latest struct {
	Version string `json:"version"`
	Notes   string `json:"notes"` // URL of what is new
}

// Looker looks daily. It is safe for concurrent use.
type Looker struct {
	cfg  Config
	key  ed25519.PublicKey
	crew agent.Crew

	mu    sync.Mutex // guards state
	state agent.Update
}

// New checks the settings.
func New(cfg Config) (*Looker, error) {
	l := &Looker{cfg: cfg, state: agent.Update{Enabled: cfg.URL != "", Current: cfg.Version}}
	if cfg.URL != "" {
		key, err := base64.StdEncoding.DecodeString(cfg.Key)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, errors.New("newer versions can't be looked for without the key that they are signed with")
		}
		l.key = key
	}
	if cfg.HTTP == nil {
		l.cfg.HTTP = &http.Client{Timeout: within}
	}
	if cfg.Publish == nil {
		l.cfg.Publish = func(string, string, any) {}
	}
	if cfg.Now == nil {
		l.cfg.Now = time.Now
	}
	if cfg.Log == nil {
		l.cfg.Log = slog.New(slog.DiscardHandler)
	}
	return l, nil
}

// Start looks daily, when there is where to look.
func (l *Looker) Start(context.Context) error {
	if l.crew.Start() && l.cfg.URL != "" {
		l.crew.Go(l.loop)
	}
	return nil
}

// Stop ends that.
func (l *Looker) Stop(ctx context.Context) error {
	return l.crew.Stop(ctx, "the look for newer versions")
}

func (l *Looker) loop(ctx context.Context) {
	for {
		pause := lookEvery
		if l.Look(ctx).Failure != "" {
			pause = lookAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Update returns what is known.
func (l *Looker) Update(context.Context) agent.Update {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Look looks now. A failure leaves what was known as it was, and is in the
// answer.
func (l *Looker) Look(ctx context.Context) agent.Update {
	if l.cfg.URL == "" {
		return l.Update(ctx)
	}
	found, err := l.fetch(ctx)
	l.mu.Lock()
	l.state.CheckedAt, l.state.Failure = l.cfg.Now().UTC(), ""
	if err != nil {
		l.state.Failure = err.Error()
		l.cfg.Log.WarnContext(ctx, "looking for a newer version", "error", err)
	} else {
		l.state.Latest, l.state.Notes = found.Version, found.Notes
		l.state.Available = newer(found.Version, l.cfg.Version)
	}
	state := l.state
	l.mu.Unlock()
	l.cfg.Publish("appliance", "update", state)
	return state
}

func (l *Looker) fetch(ctx context.Context) (latest, error) {
	var found latest
	text, err := l.get(ctx, l.cfg.URL)
	if err != nil {
		return found, err
	}
	signed, err := l.get(ctx, l.cfg.URL+".sig")
	if err != nil {
		return found, err
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signed)))
	if err != nil || !ed25519.Verify(l.key, text, signature) {
		return found, fmt.Errorf("%s is not signed by the key in update.key; nothing of it is believed", l.cfg.URL)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("%s names no version: %w", l.cfg.URL, err)
	}
	if _, err := semver.NewVersion(found.Version); err != nil {
		return found, fmt.Errorf("%s names %.50q, which is no version", l.cfg.URL, found.Version)
	}
	if found.Notes != "" && !strings.HasPrefix(found.Notes, "https://") {
		found.Notes = ""
	}
	return found, nil
}

func (l *Looker) get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the newest version: %w", err)
	}
	answer, err := l.cfg.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for the newest version: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for the newest version: %s answers %s", url, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return text, nil
}

// newer tells whether a version comes after the one that runs. One that has no
// number, as a developer's, is never behind.
func newer(found, running string) bool {
	next, err := semver.NewVersion(found)
	if err != nil {
		return false
	}
	now, err := semver.NewVersion(running)
	return err == nil && next.GreaterThan(now)
}
