// Package client speaks to the API of an appliance, over HTTPS with a pinned
// certificate or over the machine's own unix socket. It is what the hks
// command is made of, and imports the standard library, package agent and a WebSocket
// library only.
//
// Every error it returns is an *agent.Error, except the context's own.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// Config says which appliance to speak to, and as whom.
type Config struct {
	URL         string        // https://HOST:PORT or unix:///PATH
	Fingerprint string        // SHA256:hex of the certificate; empty: trust the system's authorities
	Token       string        // API token; not needed on the unix socket
	UserAgent   string        // default hks
	Timeout     time.Duration // of one ordinary request; default 30 s
	OnReconnect func(error)   // told when a stream broke and is tried again; may be nil
}

// Client is an API client. It is safe for concurrent use.
type Client struct {
	cfg    Config
	where  string // the appliance as people know it, for messages
	base   string // scheme and host of requests
	socket string // path of the unix socket; empty over HTTPS
	http   *http.Client
	retry  retry
}

const (
	requestTimeout = 30 * time.Second
	slowTimeout    = 5 * time.Minute // of requests that wait for the cluster
	maxAnswer      = 32 << 20
)

// New checks the settings; nothing is dialled before the first call.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = requestTimeout
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "hks"
	}
	c := &Client{cfg: cfg, where: cfg.URL, retry: defaultRetry}
	u, err := url.Parse(cfg.URL)
	switch {
	case err == nil && u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.socket, c.base = u.Path, "http://localhost"
	case err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "":
		c.base = "https://" + u.Host
	default:
		return nil, agent.Errorf(agent.CodeInvalid, "give it as https://HOST:8443 or unix:///run/hks/agent.sock",
			"%q is not the address of an appliance", cfg.URL)
	}
	transport, err := newTransport(c.socket, cfg.Fingerprint)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: transport,
		// The API never redirects; a token must not follow one elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// URL is the address the client was made with.
func (c *Client) URL() string { return c.cfg.URL }

// Local tells whether the client uses the machine's own unix socket.
func (c *Client) Local() bool { return c.socket != "" }

// call makes one ordinary request: in goes as JSON, the answer is decoded
// into out; either may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callWithin(ctx, c.cfg.Timeout, method, path, in, out)
}

func (c *Client) callWithin(ctx context.Context, timeout time.Duration, method, path string, in, out any) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := c.request(limited, method, path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.send(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	return c.decode(ctx, answer, out)
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("Accept", "application/json")
	if c.cfg.Token != "" && c.socket == "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	return req, nil
}

// send makes the request; ctx is the caller's own, without the deadline of
// the request, so that its end is told from a slow appliance.
func (c *Client) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, c.explain(err)
	}
	if answer.StatusCode >= 300 {
		defer func() { _ = answer.Body.Close() }() // only read from
		return nil, c.refusal(answer)
	}
	return answer, nil
}

func (c *Client) decode(ctx context.Context, answer *http.Response, out any) error {
	body := io.LimitReader(answer.Body, maxAnswer)
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		data, err := io.ReadAll(body)
		if err != nil {
			return c.broken(ctx, err)
		}
		*out = data
		return nil
	default:
		if !isJSON(answer) {
			return c.notAnAppliance(answer)
		}
		if err := json.NewDecoder(body).Decode(out); err != nil {
			return c.broken(ctx, err)
		}
		return nil
	}
}

func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.explain(fmt.Errorf("reading the answer: %w", err))
}
