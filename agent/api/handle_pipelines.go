package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// GitHubs is the connection to GitHub.
type GitHubs interface {
	Connect(ctx context.Context, request agent.GitHubConnect, by string) (agent.GitHub, error)
	Connection(ctx context.Context) (agent.GitHub, error)
	Disconnect(ctx context.Context, by string) error
	Repositories(ctx context.Context) ([]agent.GitRepository, error)
	Permissions(ctx context.Context, repository string) ([]agent.GitPermission, error)
	GitHubApps
}

// GitHubApps makes the connection to GitHub by an App.
type GitHubApps interface {
	StartApp(ctx context.Context, start agent.GitHubAppStart, by string) (agent.GitHubAppForm, error)
	AppForm(ctx context.Context, state string) (agent.GitHubAppForm, error)
	FinishApp(ctx context.Context, state, code string) (agent.GitHub, error)
	CheckApp(ctx context.Context, account, by string) (agent.GitHub, error)
}

// Pipelines builds, tests and deploys at each push.
type Pipelines interface {
	GitHubs
	Create(ctx context.Context, p agent.Pipeline, by string) (agent.Pipeline, error)
	Edit(ctx context.Context, p agent.Pipeline, by string) (agent.Pipeline, error)
	List(ctx context.Context) ([]agent.Pipeline, error)
	Get(ctx context.Context, name string) (agent.Pipeline, error)
	SetEnv(ctx context.Context, name string, env agent.PipelineEnv, by string) (agent.Pipeline, error)
	Previews(ctx context.Context) ([]agent.Preview, error)
	Delete(ctx context.Context, name, by string) error
	PipelineRuns
	Hooks
}

// PipelineRuns is the runs of pipelines.
type PipelineRuns interface {
	Trigger(ctx context.Context, name, by string) (agent.Run, error)
	Rerun(ctx context.Context, id int64, failed bool, by string) (agent.Run, error)
	Approve(ctx context.Context, id int64, by string) (agent.Run, error)
	Tests(ctx context.Context, id int64) ([]agent.TestCase, error)
	Cancel(ctx context.Context, id int64, by string) (agent.Run, error)
	Run(ctx context.Context, id int64) (agent.Run, error)
	Runs(ctx context.Context, name string) ([]agent.Run, error)
}

// Hooks takes webhooks, from anyone, and keeps a ledger of them.
type Hooks interface {
	Receive(ctx context.Context, name string, r *http.Request) (agent.Delivery, error)
	Deliveries(ctx context.Context, name string) ([]agent.Delivery, error)
}

const (
	maxHooks = 4 // webhooks that are read at once
)

func (s *Server) pipelineRoutes() []route {
	if s.cfg.Pipelines == nil {
		return nil
	}
	return []route{
		{http.MethodPost, "/api/hooks/github/:name", public, hook, s.postHook},

		{http.MethodGet, "/api/github", owner, plain, s.getGitHub},
		{http.MethodPut, "/api/github", owner, plain, s.putGitHub},
		{http.MethodDelete, "/api/github", owner, plain, s.deleteGitHub},
		{http.MethodGet, "/api/github/repositories", owner, plain, s.getRepositories},
		{http.MethodGet, "/api/github/permissions", owner, plain, s.getPermissions},
		{http.MethodPost, "/api/github/app", owner, plain, s.postGitHubApp},
		{http.MethodPost, "/api/github/app/check", owner, plain, s.postGitHubAppCheck},
		// GitHub sends the browser back without the session's cookie (SameSite):
		// the state, which nobody else knows and is good once, stands for it.
		{http.MethodGet, "/api/github/app/new", public, plain, s.getGitHubAppForm},
		{http.MethodGet, "/api/github/app/callback", public, plain, s.getGitHubAppCallback},

		{http.MethodGet, "/api/pipelines", owner, plain, s.getPipelines},
		{http.MethodPost, "/api/pipelines", owner, plain, s.postPipeline},
		{http.MethodGet, "/api/pipelines/:name", owner, plain, s.getPipeline},
		{http.MethodPut, "/api/pipelines/:name", owner, plain, s.putPipeline},
		{http.MethodPatch, "/api/pipelines/:name/env", owner, plain, s.patchPipelineEnv},
		{http.MethodGet, "/api/previews", owner, plain, s.getPreviews},
		{http.MethodDelete, "/api/pipelines/:name", owner, plain, s.deletePipeline},
		{http.MethodPost, "/api/pipelines/:name/run", owner, plain, s.postPipelineRun},
		{http.MethodGet, "/api/pipelines/:name/deliveries", owner, plain, s.getDeliveries},
		{http.MethodGet, "/api/runs", owner, plain, s.getRuns},
		{http.MethodGet, "/api/runs/:run", owner, plain, s.getRun},
		{http.MethodPost, "/api/runs/:run/cancel", owner, plain, s.changeRun(s.cfg.Pipelines.Cancel)},
		{http.MethodPost, "/api/runs/:run/approve", owner, plain, s.changeRun(s.cfg.Pipelines.Approve)},
		{http.MethodPost, "/api/runs/:run/rerun", owner, plain, s.postRerun},
		{http.MethodGet, "/api/runs/:run/tests", owner, plain, s.getRunTests},
	}
}

// postHook answers at once: GitHub waits ten seconds and never tries again.
func (s *Server) postHook(c *gin.Context) error {
	select {
	case s.hooks <- struct{}{}:
		defer func() { <-s.hooks }()
	default:
		return tooMany(5, fmt.Sprintf("%d webhooks are being read already", maxHooks))
	}
	d, err := s.cfg.Pipelines.Receive(c.Request.Context(), c.Param("name"), c.Request)
	if err != nil {
		return err
	}
	switch d.Outcome {
	case "forged":
		return &agent.Error{Code: agent.CodeForbidden, Message: d.Why, Fix: "send it with the header X-Hub-Signature-256"}
	case "oversized":
		return &agent.Error{Code: agent.CodeTooLarge, Message: d.Why}
	}
	return answer(c, http.StatusAccepted, map[string]string{"outcome": d.Outcome, "why": d.Why})
}

func (s *Server) getGitHub(c *gin.Context) error {
	return answering(c, http.StatusOK)(s.cfg.Pipelines.Connection(c.Request.Context()))
}

func (s *Server) putGitHub(c *gin.Context) error {
	var request agent.GitHubConnect
	if err := decode(c, &request); err != nil {
		return err
	}
	g, err := s.cfg.Pipelines.Connect(c.Request.Context(), request, identityOf(c).Name)
	return answering(c, http.StatusOK)(g, err)
}

func (s *Server) deleteGitHub(c *gin.Context) error {
	if err := s.cfg.Pipelines.Disconnect(c.Request.Context(), identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) getRepositories(c *gin.Context) error {
	list, err := s.cfg.Pipelines.Repositories(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) getPipelines(c *gin.Context) error {
	list, err := s.cfg.Pipelines.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) postPipeline(c *gin.Context) error {
	var p agent.Pipeline
	if err := decode(c, &p); err != nil {
		return err
	}
	p, err := s.cfg.Pipelines.Create(c.Request.Context(), p, identityOf(c).Name)
	return answering(c, http.StatusCreated)(p, err)
}

func (s *Server) getPipeline(c *gin.Context) error {
	return answering(c, http.StatusOK)(s.cfg.Pipelines.Get(c.Request.Context(), c.Param("name")))
}

func (s *Server) putPipeline(c *gin.Context) error {
	var p agent.Pipeline
	if err := decode(c, &p); err != nil {
		return err
	}
	p.Name = c.Param("name")
	p, err := s.cfg.Pipelines.Edit(c.Request.Context(), p, identityOf(c).Name)
	return answering(c, http.StatusOK)(p, err)
}

func (s *Server) deletePipeline(c *gin.Context) error {
	if err := s.cfg.Pipelines.Delete(c.Request.Context(), c.Param("name"), identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) postPipelineRun(c *gin.Context) error {
	r, err := s.cfg.Pipelines.Trigger(c.Request.Context(), c.Param("name"), identityOf(c).Name)
	return answering(c, http.StatusAccepted)(r, err)
}

func (s *Server) getDeliveries(c *gin.Context) error {
	list, err := s.cfg.Pipelines.Deliveries(c.Request.Context(), c.Param("name"))
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) getRuns(c *gin.Context) error {
	list, err := s.cfg.Pipelines.Runs(c.Request.Context(), c.Query("pipeline"))
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) getRun(c *gin.Context) error {
	id, err := pipelineRunID(c)
	if err != nil {
		return err
	}
	return answering(c, http.StatusOK)(s.cfg.Pipelines.Run(c.Request.Context(), id))
}

func (s *Server) changeRun(change func(ctx context.Context, id int64, by string) (agent.Run, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		id, err := pipelineRunID(c)
		if err != nil {
			return err
		}
		r, err := change(c.Request.Context(), id, identityOf(c).Name)
		return answering(c, http.StatusOK)(r, err)
	}
}

// answering answers with what a call gave, or fails with its error.
func answering(c *gin.Context, status int) func(value any, err error) error {
	return func(value any, err error) error {
		if err != nil {
			return err
		}
		return answer(c, status, value)
	}
}

func pipelineRunID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("run"), 10, 64)
	if err != nil || id < 1 {
		return 0, &agent.Error{
			Code: agent.CodeInvalid, Message: "a run is named by its number", Fix: "hks pipeline runs shows what there is",
			Details: map[string]any{"field": "run", "value": c.Param("run")},
		}
	}
	return id, nil
}

func (s *Server) getPermissions(c *gin.Context) error {
	list, err := s.cfg.Pipelines.Permissions(c.Request.Context(), c.Query("repository"))
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) patchPipelineEnv(c *gin.Context) error {
	var env agent.PipelineEnv
	if err := decode(c, &env); err != nil {
		return err
	}
	p, err := s.cfg.Pipelines.SetEnv(c.Request.Context(), c.Param("name"), env, identityOf(c).Name)
	return answering(c, http.StatusOK)(p, err)
}

func (s *Server) getPreviews(c *gin.Context) error {
	list, err := s.cfg.Pipelines.Previews(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) postRerun(c *gin.Context) error {
	failed := c.Query("failed") == "true"
	return s.changeRun(func(ctx context.Context, id int64, by string) (agent.Run, error) {
		return s.cfg.Pipelines.Rerun(ctx, id, failed, by)
	})(c)
}

func (s *Server) getRunTests(c *gin.Context) error {
	id, err := pipelineRunID(c)
	if err != nil {
		return err
	}
	list, err := s.cfg.Pipelines.Tests(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}
