package api

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Bounds of what a request may ask for.
const (
	maxTail     = 10_000
	maxLogAge   = 30 * 24 * time.Hour
	maxSeries   = 7 * 24 * time.Hour
	maxReplicas = 1000 // the quota is the real limit; this one stops nonsense
)

func (s *Server) getApps(c *gin.Context) error {
	apps, err := s.cfg.Apps.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, apps)
}

func (s *Server) getApp(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	app, err := s.cfg.Apps.Get(c.Request.Context(), name, env)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, app)
}

func (s *Server) deleteApp(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	// A build that ends later would make the app anew.
	if err := s.cfg.Builds.CancelAll(c.Request.Context(), name, env, identityOf(c).Name); err != nil {
		return err
	}
	deletion, err := s.cfg.Apps.Delete(c.Request.Context(), name, env, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, deletion)
}

// changeApp handles an action that needs nothing but the app's name.
func (s *Server) changeApp(change func(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		name, env, err := target(c)
		if err != nil {
			return err
		}
		app, err := change(c.Request.Context(), name, env, identityOf(c).Name)
		if err != nil {
			return err
		}
		return answer(c, http.StatusAccepted, app)
	}
}

func (s *Server) postScale(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in struct {
		Component string       `json:"component"` // may be left out where there is one only
		Replicas  *agent.Scale `json:"replicas"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Replicas == nil || in.Replicas.Min < 0 || in.Replicas.Max > maxReplicas {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: "the number of replicas is missing or out of range",
			Fix: "give a number from 1, or {\"min\": 1, \"max\": 4, \"cpu\": 70}, within the workspace's quota", Details: map[string]any{"field": "replicas"},
		}
	}
	app, err := s.cfg.Apps.Scale(c.Request.Context(), name, env, in.Component, *in.Replicas, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, app)
}

func (s *Server) getLogs(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	query, err := logQuery(c)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Apps.Get(c.Request.Context(), name, env); err != nil {
		return err // while it can be answered with a status
	}
	return streamSeq(s, c, "log", func(ctx context.Context) iter.Seq2[agent.LogLine, error] {
		return s.cfg.Apps.Logs(ctx, name, env, query)
	})
}

func logQuery(c *gin.Context) (agent.LogQuery, error) {
	var (
		query agent.LogQuery
		err   error
	)
	if query.Follow, err = queryBool(c, "follow"); err != nil {
		return query, err
	}
	if query.Previous, err = queryBool(c, "previous"); err != nil {
		return query, err
	}
	if query.Tail, err = queryInt(c, "tail", 0, 0, maxTail); err != nil {
		return query, err
	}
	if query.Component = c.Query("component"); query.Component != "" {
		if err := agent.ValidateName("component", query.Component); err != nil {
			return query, err
		}
	}
	query.Since, err = queryDuration(c, "since", 0, maxLogAge)
	return query, err
}

func (s *Server) getSeries(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	since, err := queryDuration(c, "since", time.Hour, maxSeries)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Apps.Get(c.Request.Context(), name, env); err != nil {
		return err
	}
	return answerList(c, http.StatusOK, s.cfg.Series.Series(name, env, since))
}
