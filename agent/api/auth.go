package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Lives of what one logs in with.
const (
	sessionIdle    = 7 * 24 * time.Hour
	sessionLife    = 30 * 24 * time.Hour
	setupLinkLife  = time.Hour
	touchEvery     = time.Minute // the last use of a session or token is kept this exactly
	sessionCookie  = "hks_session"
	maxCookieValue = 128
)

// The names of identities.
const (
	ownerName = "owner"
	rootName  = "root"
)

// auth knows who makes a request, and makes owner, sessions and tokens.
type auth struct {
	store  Identities
	warn   func(ctx context.Context, message string) // tells people
	log    *slog.Logger
	now    func() time.Time
	hasher *hasher
	logins *throttle
	links  *throttle
}

func newAuth(identities Identities, warn func(context.Context, string), log *slog.Logger, now func() time.Time) *auth {
	return &auth{
		store: identities, warn: warn, log: log, now: now, hasher: newHasher(passwordCost()),
		logins: newThrottle(now), links: newThrottle(now),
	}
}

// identify tells who makes the request. A bearer token that is wrong is an
// error even when a cookie would do.
func (a *auth) identify(r *http.Request) (agent.Identity, error) {
	identity, touch, err := a.recognise(r)
	if err != nil {
		return agent.Identity{}, err
	}
	if touch != nil {
		if err := touch(r.Context(), identity.ID); err != nil {
			a.log.WarnContext(r.Context(), "the last use was not recorded", "error", err)
		}
	}
	return identity, nil
}

// still tells whether the credential of a request that was let in earlier is
// good yet. It does not count as use.
func (a *auth) still(r *http.Request) bool {
	_, _, err := a.recognise(r)
	return err == nil
}

type touchFunc func(ctx context.Context, id string) error

func (a *auth) recognise(r *http.Request) (agent.Identity, touchFunc, error) {
	if isLocal(r) {
		return agent.Identity{Name: rootName, Via: "socket"}, nil, nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		return a.recogniseToken(r.Context(), header)
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil && cookie.Value != "" {
		return a.recogniseSession(r.Context(), cookie.Value)
	}
	return agent.Identity{}, nil, unauthorized("this needs a login")
}

func (a *auth) recogniseToken(ctx context.Context, header string) (agent.Identity, touchFunc, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(secret, tokenPrefix) {
		return agent.Identity{}, nil, unauthorized("the Authorization header holds no token of hks")
	}
	token, ok, err := a.store.Token(ctx, hashSecret(secret))
	if err != nil {
		return agent.Identity{}, nil, err
	}
	now := a.now()
	if !ok || (!token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt)) {
		return agent.Identity{}, nil, unauthorized("the token was revoked, has expired or was never made")
	}
	var touch touchFunc
	if now.Sub(token.UsedAt) >= touchEvery {
		touch = a.store.TouchToken
	}
	return agent.Identity{Name: ownerName, Via: "token", ID: token.ID, Token: token.Name}, touch, nil
}

func (a *auth) recogniseSession(ctx context.Context, secret string) (agent.Identity, touchFunc, error) {
	if len(secret) > maxCookieValue {
		return agent.Identity{}, nil, unauthorized("the session has ended")
	}
	session, ok, err := a.store.Session(ctx, hashSecret(secret))
	if err != nil {
		return agent.Identity{}, nil, err
	}
	now := a.now()
	if !ok || !now.Before(session.ExpiresAt) || now.Sub(session.UsedAt) >= sessionIdle {
		return agent.Identity{}, nil, unauthorized("the session has ended")
	}
	var touch touchFunc
	if now.Sub(session.UsedAt) >= touchEvery {
		touch = a.store.TouchSession
	}
	return agent.Identity{Name: ownerName, Via: "session", ID: session.ID}, touch, nil
}

func unauthorized(message string) *agent.Error {
	return &agent.Error{Code: agent.CodeUnauthorized, Message: message, Fix: "log in, in the browser or with: hks login URL"}
}

// checkPassword compares with the owner's password, for whoever asks from
// address. Right or wrong takes the same work.
func (a *auth) checkPassword(ctx context.Context, address, password string) error {
	if err := a.logins.begin(address); err != nil {
		return err
	}
	if len(password) > maxPasswordBytes {
		return a.wrongPassword(ctx, address)
	}
	phc, err := a.store.PasswordHash(ctx)
	if err != nil {
		return err
	}
	if phc == "" {
		return &agent.Error{
			Code: agent.CodeSetupRequired, Message: "this appliance has no owner yet",
			Fix: "open the set-up link that was printed at the start; for a new one, as root on the machine: hks setup-link",
		}
	}
	right, stale, err := a.hasher.check(ctx, phc, password)
	if err != nil {
		return err
	}
	if !right {
		return a.wrongPassword(ctx, address)
	}
	a.logins.succeeded(address)
	if stale {
		a.renewHash(ctx, phc, password)
	}
	return nil
}

func (a *auth) wrongPassword(ctx context.Context, address string) error {
	if a.logins.failed(address) {
		a.warn(ctx, "wrong passwords were tried again and again from "+address)
	}
	return &agent.Error{Code: agent.CodeUnauthorized, Message: "the password is wrong", Fix: "try again"}
}

// renewHash keeps the password with today's cost. The login does not depend on it.
func (a *auth) renewHash(ctx context.Context, before, password string) {
	after, err := a.hasher.hash(ctx, password)
	if err == nil {
		err = a.store.ReplacePasswordHash(ctx, before, after)
	}
	if err != nil {
		a.log.WarnContext(ctx, "the password's hash was not renewed", "error", err)
	}
}

// newSession makes a session and the secret for its cookie.
func (a *auth) newSession() (store.Session, string) {
	now := a.now()
	return store.Session{ID: newID(), CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(sessionLife)}, newSecret()
}

// login begins a session in place of the one that r carries.
func (a *auth) login(r *http.Request) (string, error) {
	replaces := ""
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if old, ok, err := a.store.Session(r.Context(), hashSecret(cookie.Value)); err == nil && ok {
			replaces = old.ID
		}
	}
	session, secret := a.newSession()
	if err := a.store.AddSession(r.Context(), session, hashSecret(secret), replaces); err != nil {
		return "", err
	}
	return secret, nil
}

// newToken makes an API token; its secret is in the answer and nowhere else.
func (a *auth) newToken(ctx context.Context, name string) (agent.Token, error) {
	if err := checkTokenName(name); err != nil {
		return agent.Token{}, err
	}
	token := agent.Token{ID: newID(), Name: name, CreatedAt: a.now().UTC()}
	secret := tokenPrefix + newSecret()
	if err := a.store.AddToken(ctx, token, hashSecret(secret)); err != nil {
		return agent.Token{}, err
	}
	token.Secret = secret
	return token, nil
}

func checkTokenName(name string) error {
	const longest = 100
	printable := !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
	if name == "" || len(name) > longest || !printable || strings.TrimSpace(name) != name {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: "a token needs a name that says who uses it",
			Fix: "give up to 100 printable characters, such as the name of the machine", Details: map[string]any{"field": "name"},
		}
	}
	return nil
}

// newSetupLink makes a one-time token in place of any earlier one.
func (a *auth) newSetupLink(ctx context.Context) (string, time.Time, error) {
	token, expires := newSecret(), a.now().Add(setupLinkLife).UTC()
	if err := a.store.PutSetupLink(ctx, hashSecret(token), expires); err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// newResetLink makes a one-time token for another password.
func (a *auth) newResetLink(ctx context.Context, revokeTokens bool) (string, time.Time, error) {
	token, expires := newSecret(), a.now().Add(setupLinkLife).UTC()
	if err := a.store.PutResetLink(ctx, hashSecret(token), expires, revokeTokens); err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// setupLink tells whether the one-time token is in force and until when.
func (a *auth) setupLink(ctx context.Context, address, token string) (time.Time, bool, error) {
	if err := a.links.begin(address); err != nil {
		return time.Time{}, false, err
	}
	expires, ok, err := a.store.SetupLink(ctx, hashSecret(token))
	if err == nil && ok {
		a.links.succeeded(address)
	}
	return expires, ok, err
}

// setUp makes the owner, or gives the owner another password by a link made
// for that. A password that is refused does not burn the link.
func (a *auth) setUp(ctx context.Context, address, token, password string) (string, error) {
	_, ok, err := a.setupLink(ctx, address, token)
	switch {
	case err != nil:
		return "", err
	case !ok:
		a.links.failed(address)
		return "", store.DeadSetupLink()
	}
	if err := checkNewPassword(password); err != nil {
		return "", err
	}
	phc, err := a.hasher.hash(ctx, password)
	if err != nil {
		return "", err
	}
	session, secret := a.newSession()
	if err := a.store.SetUp(ctx, hashSecret(token), phc, session, hashSecret(secret)); err != nil {
		return "", err
	}
	return secret, nil
}
