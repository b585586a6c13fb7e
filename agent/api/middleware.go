package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Bounds of requests.
const (
	maxBody      = 1 << 20
	maxImageBody = 4 << 30
	plainTimeout = time.Minute
	slowTimeout  = 15 * time.Minute
	imageTimeout = 2 * time.Hour
	stallTimeout = time.Minute // what a body and an answer may take beyond the work itself
	maxUploads   = 2
	maxStreams   = 256
)

// contentPolicy lets the screens load their own files and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Keys of what middleware leaves in a gin.Context.
const (
	identityKey = "hks.identity"
	streamKey   = "hks.stream"
)

// observe logs and counts each request, and turns a panic into an internal
// error. It never looks at bodies, cookies, tokens or query strings.
func (s *Server) observe(c *gin.Context) {
	begin := s.cfg.Now()
	defer func() {
		took := s.cfg.Now().Sub(begin)
		s.metrics.request(c.Request.Method, routeOf(c), c.Writer.Status(), took, c.GetBool(streamKey))
		s.logRequest(c, took)
		s.audit(c)
	}()
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			s.cfg.Log.ErrorContext(c.Request.Context(), "panic in a handler", "route", routeOf(c), "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				status, body := s.explain(c, errors.New("a handler panicked; its stack is in the line before"))
				_ = answer(c, status, body) // the connection's end can't be told to anyone
			}
			c.Abort()
		}
	}()
	c.Next()
}

func (s *Server) logRequest(c *gin.Context, took time.Duration) {
	status := c.Writer.Status()
	level := slog.LevelDebug
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
		level = slog.LevelInfo
	}
	identity := identityOf(c)
	s.cfg.Log.LogAttrs(c.Request.Context(), level, "request",
		slog.String("method", c.Request.Method), slog.String("route", routeOf(c)), slog.Int("status", status),
		slog.Duration("took", took), slog.String("by", identity.Name), slog.String("via", identity.Via), slog.String("from", c.Request.RemoteAddr))
}

// secure sets the headers that browsers hold themselves to.
func (s *Server) secure(c *gin.Context) error {
	header := c.Writer.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if isAPI(c.Request.URL.Path) {
		header.Set("Cache-Control", "no-store")
	}
	if host := hostOf(c.Request); !isLocal(c.Request) && host != "localhost" && !isAddress(host) {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return nil
}

func isAPI(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/api" || path == "/healthz" || path == "/metrics" || path == "/ca.crt" || path == "/join.sh"
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

type crossOrigin struct{ protection *http.CrossOriginProtection }

func newCrossOrigin() crossOrigin { return crossOrigin{http.NewCrossOriginProtection()} }

// check refuses a change that a page of another origin asks a browser for.
func (o crossOrigin) check(c *gin.Context) error {
	request := c.Request
	if isUpgrade(request) {
		// A WebSocket begins with a GET, but browsers send cookies with it and
		// let the page read and write.
		request = request.WithContext(request.Context())
		request.Method = http.MethodPost
	}
	if err := o.protection.Check(request); err != nil {
		return &agent.Error{
			Code: agent.CodeForbidden, Message: "a page of another site asked for this change",
			Fix: "use the screens of this appliance or the hks command", Cause: err,
		}
	}
	return nil
}

// admit lets through who may use a route.
func (s *Server) admit(rule access) func(*gin.Context) error {
	return func(c *gin.Context) error {
		if rule == public {
			return nil
		}
		if rule == joiner {
			found, err := s.cfg.Joins.Progress(c.Request.Context(), bearer(c))
			if err != nil {
				return err
			}
			c.Set(identityKey, agent.Identity{Name: "node/" + found.Name, Via: "invitation"})
			return nil
		}
		identity, err := s.auth.identify(c.Request)
		if err != nil {
			return err
		}
		c.Set(identityKey, identity)
		switch {
		case rule == owner, rule == socketOnly && identity.Via == "socket":
			return nil
		case rule == socketOnly:
			return &agent.Error{
				Code: agent.CodeForbidden, Message: "only root on the machine itself may do this",
				Fix: "log in to the machine and run the hks command there as root",
			}
		}
		return &agent.Error{Code: agent.CodeForbidden, Message: "nobody may do this"}
	}
}

func identityOf(c *gin.Context) agent.Identity {
	identity, _ := c.Value(identityKey).(agent.Identity)
	return identity
}

// setDeadlines bounds every request; those of a longer shape move them. A
// connection that is used again would otherwise keep those of the last one.
func setDeadlines(c *gin.Context) error {
	at := time.Now().Add(plainTimeout + stallTimeout) // the clock of the kernel, not of Config
	return moveDeadlines(c, at, at)
}

func moveDeadlines(c *gin.Context, read, write time.Time) error {
	control := http.NewResponseController(c.Writer)
	err := errors.Join(control.SetReadDeadline(read), control.SetWriteDeadline(write))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting a connection's deadlines: %w", err)
	}
	return nil
}

// bound sets the limits of time and size.
func (s *Server) bound(kind shape) func(*gin.Context) error {
	switch kind {
	case stream, session: // each batch, each frame has a deadline of its own
		return func(c *gin.Context) error {
			return errors.Join(limitBody(c, 0), moveDeadlines(c, time.Time{}, time.Time{}))
		}
	case upload: // each read has a deadline of its own
		return func(c *gin.Context) error {
			end := time.Now().Add(imageTimeout + stallTimeout)
			if err := errors.Join(limitBody(c, maxImageBody), moveDeadlines(c, end, end)); err != nil {
				return err
			}
			nextWithin(c, imageTimeout)
			return nil
		}
	case hook:
		return func(c *gin.Context) error {
			// Whoever takes the hook bounds the body itself: one that is too
			// large is to be in the ledger too.
			if err := limitBody(c, maxImageBody); err != nil {
				return err
			}
			nextWithin(c, plainTimeout)
			return nil
		}
	case slow:
		return func(c *gin.Context) error {
			end := time.Now().Add(slowTimeout + stallTimeout)
			if err := errors.Join(limitBody(c, maxBody), moveDeadlines(c, end, end)); err != nil {
				return err
			}
			nextWithin(c, slowTimeout)
			return nil
		}
	default:
		return func(c *gin.Context) error {
			if err := limitBody(c, maxBody); err != nil {
				return err
			}
			nextWithin(c, plainTimeout)
			return nil
		}
	}
}

func limitBody(c *gin.Context, limit int64) error {
	if c.Request.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	return nil
}

// nextWithin runs the handlers that follow under a deadline. The request has
// its own context back afterwards, so that a client that left is told from a
// deadline.
func nextWithin(c *gin.Context, timeout time.Duration) {
	before := c.Request
	ctx, cancel := context.WithTimeout(before.Context(), timeout)
	defer func() {
		cancel()
		c.Request = before
	}()
	c.Request = before.WithContext(ctx)
	c.Next()
}

// elsewhere answers what is not in the table: the screens, or that there is
// nothing.
func (s *Server) elsewhere(c *gin.Context) error {
	reads := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if isAPI(c.Request.URL.Path) || !reads {
		return &agent.Error{
			Code: agent.CodeNotFound, Message: fmt.Sprintf("the API has no %s %s", c.Request.Method, c.Request.URL.Path),
			Fix: "see that the command and the appliance have the same version: hks version",
		}
	}
	c.Status(http.StatusOK) // gin presets 404 here; the handler sets its own
	s.cfg.UI.ServeHTTP(c.Writer, c.Request)
	return nil
}
