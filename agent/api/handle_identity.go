package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// setupState is the answer of GET /api/setup.
type setupState struct {
	Valid     bool      `json:"valid"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// setupLink is the answer of POST /api/setup-link.
type setupLink struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (s *Server) getSetup(c *gin.Context) error {
	expires, ok, err := s.auth.setupLink(c.Request.Context(), throttleKey(c.Request.RemoteAddr), c.Query("token"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, setupState{Valid: ok, ExpiresAt: expires})
}

func (s *Server) postSetup(c *gin.Context) error {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	before, err := s.cfg.Identities.PasswordHash(c.Request.Context())
	if err != nil {
		return err
	}
	secret, err := s.auth.setUp(c.Request.Context(), throttleKey(c.Request.RemoteAddr), in.Token, in.Password)
	if err != nil {
		return err
	}
	done := agent.Activity{Level: "info", Subject: ownerName, Message: "the appliance was set up", By: ownerName}
	if before != "" {
		done.Level, done.Message = "warning", "the owner's password was set anew by a link from the machine itself; all sessions were ended"
	}
	s.cfg.Journal.Record(c.Request.Context(), done)
	s.begin(c, secret)
	return nil
}

func (s *Server) postSetupLink(c *gin.Context) error {
	token, expires, err := s.auth.newSetupLink(c.Request.Context())
	if err != nil {
		return err
	}
	link := s.URL() + "/setup?" + url.Values{"token": {token}}.Encode()
	return answer(c, http.StatusOK, setupLink{URL: link, ExpiresAt: expires})
}

// postPasswordLink makes a link like that of the set-up, for an owner who has
// lost the password.
func (s *Server) postPasswordLink(c *gin.Context) error {
	var in agent.PasswordReset
	if err := decode(c, &in); err != nil {
		return err
	}
	token, expires, err := s.auth.newResetLink(c.Request.Context(), in.RevokeTokens)
	if err != nil {
		return err
	}
	message := "a link to set the owner's password anew was made on the machine"
	if in.RevokeTokens {
		message += "; all API tokens were revoked"
	}
	s.cfg.Journal.Record(c.Request.Context(), agent.Activity{Level: "warning", Subject: ownerName, Message: message, By: identityOf(c).Name})
	link := s.URL() + "/setup?" + url.Values{"token": {token}}.Encode()
	return answer(c, http.StatusOK, setupLink{URL: link, ExpiresAt: expires})
}

func (s *Server) postLogin(c *gin.Context) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := s.checkPassword(c, in.Password); err != nil {
		return err
	}
	secret, err := s.auth.login(c.Request)
	if err != nil {
		return err
	}
	s.begin(c, secret)
	return nil
}

func (s *Server) checkPassword(c *gin.Context, password string) error {
	err := s.auth.checkPassword(c.Request.Context(), throttleKey(c.Request.RemoteAddr), password)
	s.metrics.login(err)
	return err
}

// begin answers a login with the session's cookie, and sees to the workspace.
func (s *Server) begin(c *gin.Context, secret string) {
	setSessionCookie(c, secret, int(sessionLife.Seconds()))
	c.Status(http.StatusNoContent)
	s.firstLogin(ownerName)
}

func setSessionCookie(c *gin.Context, value string, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	})
}

func (s *Server) postTokenLogin(c *gin.Context) error {
	var in struct {
		Password string `json:"password"`
		Name     string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := checkTokenName(in.Name); err != nil {
		return err
	}
	if err := s.checkPassword(c, in.Password); err != nil {
		return err
	}
	if err := s.makeToken(c, in.Name, ownerName); err != nil {
		return err
	}
	s.firstLogin(ownerName)
	return nil
}

func (s *Server) postToken(c *gin.Context) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	return s.makeToken(c, in.Name, identityOf(c).Name)
}

func (s *Server) makeToken(c *gin.Context, name, by string) error {
	token, err := s.auth.newToken(c.Request.Context(), name)
	if err != nil {
		return err
	}
	s.cfg.Journal.Record(c.Request.Context(), agent.Activity{Level: "info", Subject: "token", Message: fmt.Sprintf("the API token %q was made", token.Name), By: by})
	return answer(c, http.StatusCreated, token)
}

func (s *Server) getTokens(c *gin.Context) error {
	tokens, err := s.cfg.Identities.Tokens(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, tokens)
}

func (s *Server) deleteToken(c *gin.Context) error {
	if err := s.revoke(c, c.Param("id")); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) revoke(c *gin.Context, id string) error {
	found, err := s.cfg.Identities.RemoveToken(c.Request.Context(), id)
	if err != nil {
		return err
	}
	if !found {
		return &agent.Error{Code: agent.CodeNotFound, Message: "there is no API token " + id, Fix: "list them in the screens, or with: hks token list"}
	}
	s.cfg.Journal.Record(c.Request.Context(), agent.Activity{Level: "info", Subject: "token", Message: "the API token " + id + " was revoked", By: identityOf(c).Name})
	return nil
}

func (s *Server) postLogout(c *gin.Context) error {
	identity := identityOf(c)
	switch identity.Via {
	case "session":
		if err := s.cfg.Identities.RemoveSession(c.Request.Context(), identity.ID); err != nil {
			return err
		}
		setSessionCookie(c, "", -1)
	case "token":
		if err := s.revoke(c, identity.ID); err != nil {
			return err
		}
	default:
		return &agent.Error{Code: agent.CodeConflict, Message: "root on the machine itself has no login to end", Fix: "nothing needs to be done"}
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) getWhoami(c *gin.Context) error {
	return answer(c, http.StatusOK, identityOf(c))
}

// firstLogin asks for the owner's workspace when there is none. The login does
// not wait for it.
func (s *Server) firstLogin(by string) {
	if s.life.Err() != nil {
		return
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, 10*time.Minute)
		defer cancel()
		if err := s.ensureWorkspace(ctx, by); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "the first workspace was not made; the next login tries again", "error", err)
		}
	})
}

func (s *Server) ensureWorkspace(ctx context.Context, by string) error {
	s.making.Lock()
	defer s.making.Unlock()
	_, err := s.cfg.Workspaces.Current(ctx)
	switch agent.CodeOf(err) {
	case agent.CodeNotFound, agent.CodeWorkspaceMissing:
	default:
		return err
	}
	_, err = s.cfg.Workspaces.Create(ctx, agent.DefaultWorkspace, by)
	return err
}

// resumeFirstLogin makes up for a workspace that the agent had no time to ask
// for after the set-up.
func (s *Server) resumeFirstLogin(ctx context.Context) {
	hash, err := s.cfg.Identities.PasswordHash(ctx)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "whether there is an owner is not known", "error", err)
		return
	}
	if hash != "" {
		s.firstLogin(ownerName)
	}
}
