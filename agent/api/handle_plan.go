package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Plans shows the plan in force and changes it.
type Plans interface {
	Show(ctx context.Context) (agent.PlanState, error)
	Change(ctx context.Context, name, by string) (agent.PlanState, error)
}

func (s *Server) planRoutes() []route {
	if s.cfg.Plans == nil {
		return nil
	}
	return []route{
		{http.MethodGet, "/api/plan", owner, plain, s.getPlan},
		{http.MethodPost, "/api/plan", owner, plain, s.postPlan},
	}
}

func (s *Server) getPlan(c *gin.Context) error {
	state, err := s.cfg.Plans.Show(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, state)
}

func (s *Server) postPlan(c *gin.Context) error {
	var in struct {
		Plan string `json:"plan"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	state, err := s.cfg.Plans.Change(c.Request.Context(), in.Plan, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, state)
}
