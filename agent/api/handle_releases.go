package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

func (s *Server) getReleases(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	releases, err := s.cfg.Apps.Releases(c.Request.Context(), name, env)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, releases)
}

func (s *Server) postRelease(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in agent.Deploy
	if err := decode(c, &in); err != nil {
		return err
	}
	release, err := s.cfg.Apps.Deploy(c.Request.Context(), name, env, in, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, release)
}

func (s *Server) getRelease(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	number, err := releaseNumber(c)
	if err != nil {
		return err
	}
	release, err := s.cfg.Apps.Release(c.Request.Context(), name, env, number)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, release)
}

func (s *Server) getProgress(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	number, err := releaseNumber(c)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Apps.Release(c.Request.Context(), name, env, number); err != nil {
		return err // while it can be answered with a status
	}
	return streamSeq(s, c, "progress", func(ctx context.Context) iter.Seq2[agent.Progress, error] {
		return s.cfg.Apps.Progress(ctx, name, env, number)
	})
}

func (s *Server) postRollback(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in struct {
		Release int `json:"release"` // 0: the one before
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Release < 0 {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: "a release is a number from 1; 0 means the one before",
			Fix: "give one of the app's releases", Details: map[string]any{"field": "release"},
		}
	}
	release, err := s.cfg.Apps.Rollback(c.Request.Context(), name, env, in.Release, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, release)
}

// postPromote makes a release of the app in the path's environment from what
// serves in another.
func (s *Server) postPromote(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in struct {
		From agent.Environment `json:"from"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	release, err := s.cfg.Apps.Promote(c.Request.Context(), name, in.From, env, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, release)
}

// postMove makes a release that runs elsewhere.
func (s *Server) postMove(c *gin.Context) error {
	name, env, to, err := moveOf(c)
	if err != nil {
		return err
	}
	release, err := s.cfg.Apps.Move(c.Request.Context(), name, env, to, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, release)
}

// postMovePlan tells what a move would do; it changes nothing.
func (s *Server) postMovePlan(c *gin.Context) error {
	name, env, to, err := moveOf(c)
	if err != nil {
		return err
	}
	plan, err := s.cfg.Apps.PlanMove(c.Request.Context(), name, env, to)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, plan)
}

func moveOf(c *gin.Context) (string, agent.Environment, string, error) {
	name, env, err := target(c)
	if err != nil {
		return "", "", "", err
	}
	var in struct {
		To string `json:"to"`
	}
	if err := decode(c, &in); err != nil {
		return "", "", "", err
	}
	return name, env, in.To, agent.ValidateName("place", in.To)
}

// postDiff tells what a deploy would change; it changes nothing.
func (s *Server) postDiff(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in agent.Deploy
	if err := decode(c, &in); err != nil {
		return err
	}
	changes, err := s.cfg.Apps.Diff(c.Request.Context(), name, env, in)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, changes)
}
