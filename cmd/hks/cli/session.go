package cli

import (
	"context"
	"net/url"
	"runtime"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// agentSocket is where the agent of this very machine listens.
const agentSocket = "/run/hks/agent.sock"

// session is what every command needs: the terminal, the settings from
// outside, and the way to the appliance.
type session struct {
	screen  *screen
	getenv  func(string) string
	version string
	now     func() time.Time
	logins  loginStore

	url  string // --url
	json bool   // --json
}

func newSession(cfg Config) *session {
	return &session{
		screen:  newScreen(cfg.In, cfg.Out, cfg.Err, cfg.Getenv),
		getenv:  cfg.Getenv,
		version: cfg.Version,
		now:     cfg.Now,
		logins:  loginStore{getenv: cfg.Getenv},
	}
}

// client returns a client for the appliance that is meant: by --url or
// HKS_URL, by the stored login, or the one on this machine, in that order.
func (s *session) client() (*client.Client, error) {
	cfg, err := s.target()
	if err != nil {
		return nil, err
	}
	return s.clientFor(cfg)
}

func (s *session) clientFor(cfg client.Config) (*client.Client, error) {
	cfg.UserAgent = "hks/" + s.version + " (" + runtime.GOOS + "; " + runtime.GOARCH + ")"
	cfg.OnReconnect = func(err error) { s.screen.note("the connection broke (%v), trying again", err) }
	return client.New(cfg)
}

func (s *session) target() (client.Config, error) {
	stored, err := s.logins.load()
	if err != nil {
		return client.Config{}, err
	}
	address := s.url
	if address == "" {
		address = s.getenv("HKS_URL")
	}
	switch {
	case address != "":
		return s.explicit(address, stored)
	case stored.URL != "":
		return client.Config{URL: stored.URL, Fingerprint: stored.Fingerprint, Token: stored.Token}, nil
	case socketUsable(agentSocket):
		return client.Config{URL: "unix://" + agentSocket}, nil
	}
	return client.Config{}, agent.Errorf(agent.CodeUnauthorized,
		"log in: hks login https://HOST:8443\non the appliance itself root needs no login: sudo hks ...",
		"you are not logged in to an appliance")
}

// explicit is a target named by flag or environment. The stored login serves
// it too when it is for the same address.
func (s *session) explicit(address string, stored login) (client.Config, error) {
	address, err := normalURL(address)
	if err != nil {
		return client.Config{}, err
	}
	cfg := client.Config{URL: address, Fingerprint: s.getenv("HKS_FINGERPRINT"), Token: s.getenv("HKS_TOKEN")}
	if stored.URL != address {
		return cfg, nil
	}
	if cfg.Fingerprint == "" {
		cfg.Fingerprint = stored.Fingerprint
	}
	if cfg.Token == "" {
		cfg.Token = stored.Token
	}
	return cfg, nil
}

// normalURL completes an address as people type it: scheme https and port
// 8443 may be left out.
func normalURL(address string) (string, error) {
	refused := usagef("give it as https://HOST:8443", "%q is not the address of an appliance", address)
	if strings.HasPrefix(address, "unix://") {
		return address, nil
	}
	typed := address
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", refused
	}
	if u.Scheme != "https" {
		return "", usagef("give it as https://HOST:8443", "%s is not an https address: a password or token is sent over TLS only", typed)
	}
	if u.Port() == "" && !strings.Contains(typed, "://") {
		u.Host += ":8443"
	}
	return "https://" + strings.ToLower(u.Host), nil
}

// call runs fn with a client; most commands are nothing more.
func (s *session) call(ctx context.Context, fn func(context.Context, *client.Client) error) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return fn(ctx, c)
}
