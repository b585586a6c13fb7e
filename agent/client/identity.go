package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"hks.dev/hks/agent"
)

// Info returns what the appliance tells of itself to anyone.
func (c *Client) Info(ctx context.Context) (agent.Info, error) {
	var info agent.Info
	err := c.call(ctx, http.MethodGet, "/api/info", nil, &info)
	return info, err
}

// Login trades the owner's password for a token of the given name.
func (c *Client) Login(ctx context.Context, password, name string) (agent.Token, error) {
	var token agent.Token
	err := c.call(ctx, http.MethodPost, "/api/tokens/login", struct {
		Password string `json:"password"`
		Name     string `json:"name"`
	}{password, name}, &token)
	return token, err
}

// Logout revokes the token that the client uses.
func (c *Client) Logout(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/api/logout", nil, nil)
}

// Whoami tells who the appliance takes the client for.
func (c *Client) Whoami(ctx context.Context) (agent.Identity, error) {
	var id agent.Identity
	err := c.call(ctx, http.MethodGet, "/api/whoami", nil, &id)
	return id, err
}

// Tokens lists the API tokens, without their secrets.
func (c *Client) Tokens(ctx context.Context) ([]agent.Token, error) {
	var tokens []agent.Token
	err := c.call(ctx, http.MethodGet, "/api/tokens", nil, &tokens)
	return tokens, err
}

// CreateToken makes a token; its secret is in this answer only.
func (c *Client) CreateToken(ctx context.Context, name string) (agent.Token, error) {
	var token agent.Token
	err := c.call(ctx, http.MethodPost, "/api/tokens", struct {
		Name string `json:"name"`
	}{name}, &token)
	return token, err
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api/tokens/"+url.PathEscape(id), nil, nil)
}

// SetupLink is the one-time address where the owner sets a password.
type SetupLink struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// SetupLink makes a new set-up link; only the unix socket may ask for one.
func (c *Client) SetupLink(ctx context.Context) (SetupLink, error) {
	var link SetupLink
	err := c.call(ctx, http.MethodPost, "/api/setup-link", nil, &link)
	return link, err
}

// PasswordLink makes a link with which the owner sets another password; only
// the unix socket may ask for one.
func (c *Client) PasswordLink(ctx context.Context, reset agent.PasswordReset) (SetupLink, error) {
	var link SetupLink
	err := c.call(ctx, http.MethodPost, "/api/password-link", reset, &link)
	return link, err
}
