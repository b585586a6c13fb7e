package api

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// auditWithin bounds the writing of an entry.
const auditWithin = 5 * time.Second

// Audit is the log of who asked for which change.
type Audit interface {
	AddAudit(ctx context.Context, e agent.AuditEntry) error
	Audit(ctx context.Context, q agent.AuditQuery) ([]agent.AuditEntry, error)
}

// logins are the routes on which someone becomes known: there a refusal is of
// interest too. The throttle of logins bounds how many there can be.
var logins = map[string]bool{"/api/login": true, "/api/tokens/login": true, "/api/setup": true}

// audit writes down a change, or a session into an instance, and what came of
// it: never what was sent, nor its query. A log that can't be written does not
// undo what was done; it is told in the agent's own log.
func (s *Server) audit(c *gin.Context) {
	if s.cfg.Audit == nil || !audited(c) {
		return
	}
	identity := identityOf(c)
	e := agent.AuditEntry{
		Time: s.cfg.Now().UTC(), Who: identity.Name, Via: identity.Via, Token: identity.Token,
		Method: c.Request.Method, Route: routeOf(c), Status: c.Writer.Status(),
	}
	if !isLocal(c.Request) {
		e.Address, _, _ = net.SplitHostPort(c.Request.RemoteAddr)
	}
	var target []string
	for _, p := range c.Params {
		target = append(target, p.Key+"="+strings.TrimPrefix(p.Value, "/"))
	}
	e.Target = strings.Join(target, " ")
	if last := c.Errors.Last(); last != nil {
		e.Code = agent.CodeOf(last.Err)
	} else if e.Status >= http.StatusBadRequest {
		e.Code = agent.CodeInternal
	}
	if logins[e.Route] && e.Code == "" {
		e.Who, e.Via = ownerName, "password"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), auditWithin)
	defer cancel()
	if err := s.cfg.Audit.AddAudit(ctx, e); err != nil {
		s.cfg.Log.ErrorContext(ctx, "a change is not in the audit log", "method", e.Method, "route", e.Route, "target", e.Target, "who", e.Who, "error", err)
	}
}

// audited tells whether a request belongs into the log.
func audited(c *gin.Context) bool {
	route := c.FullPath()
	if route == "" {
		return false
	}
	if logins[route] {
		return c.Request.Method == http.MethodPost && (c.Errors.Last() == nil || agent.CodeOf(c.Errors.Last().Err) != agent.CodeTooMany)
	}
	changes := c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead
	return (changes || isUpgrade(c.Request)) && identityOf(c).Name != ""
}

// auditRoutes are those of the log; none when there is none.
func (s *Server) auditRoutes() []route {
	if s.cfg.Audit == nil {
		return nil
	}
	return []route{{http.MethodGet, "/api/audit", owner, plain, s.getAudit}}
}

// Entries of the audit log that one answer holds.
const (
	fewAudit  = 100
	mostAudit = 1000
)

func (s *Server) getAudit(c *gin.Context) error {
	limit, err := queryInt(c, "limit", fewAudit, 1, mostAudit)
	if err != nil {
		return err
	}
	before, err := queryInt(c, "before", 0, 0, 1<<53)
	if err != nil {
		return err
	}
	failed, err := queryBool(c, "failed")
	if err != nil {
		return err
	}
	entries, err := s.cfg.Audit.Audit(c.Request.Context(), agent.AuditQuery{
		Who: c.Query("who"), Token: c.Query("token"), Text: c.Query("text"), Failed: failed, Before: int64(before), Limit: limit,
	})
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, entries)
}
