package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// sessionRoutes list and end the logins of browsers.
func (s *Server) sessionRoutes() []route {
	return []route{
		{http.MethodGet, "/api/sessions", owner, plain, s.getSessions},
		{http.MethodDelete, "/api/sessions/:id", owner, plain, s.deleteSession},
	}
}

func (s *Server) getSessions(c *gin.Context) error {
	sessions, err := s.cfg.Identities.Sessions(c.Request.Context(), sessionIdle)
	if err != nil {
		return err
	}
	who := identityOf(c)
	for i := range sessions {
		sessions[i].Current = who.Via == "session" && sessions[i].ID == who.ID
	}
	return answerList(c, http.StatusOK, sessions)
}

func (s *Server) deleteSession(c *gin.Context) error {
	id := c.Param("id")
	if err := s.cfg.Identities.RemoveSession(c.Request.Context(), id); err != nil {
		return err
	}
	s.cfg.Journal.Record(c.Request.Context(), agent.Activity{Level: "info", Subject: ownerName, Message: "a session of a browser was ended", By: identityOf(c).Name})
	c.Status(http.StatusNoContent)
	return nil
}
