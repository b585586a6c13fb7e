package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// CronJobs are the owner's cron jobs.
type CronJobs interface {
	List(ctx context.Context) ([]agent.CronJob, error)
	Get(ctx context.Context, name string) (agent.CronJob, error)
	Create(ctx context.Context, j agent.CronJob, by string) (agent.CronJob, error)
	Edit(ctx context.Context, j agent.CronJob, by string) (agent.CronJob, error)
	Delete(ctx context.Context, name, by string) error
	Pause(ctx context.Context, name, by string) (agent.CronJob, error)
	Resume(ctx context.Context, name, by string) (agent.CronJob, error)
	Preview(schedule, zone string) ([]time.Time, error)
}

// CronRuns are the runs of cron jobs.
type CronRuns interface {
	RunNow(ctx context.Context, name, by string) (agent.CronRun, error)
	History(ctx context.Context, name string, limit int) ([]agent.CronRun, error)
	Run(ctx context.Context, id int64) (agent.CronRun, error)
	Cancel(ctx context.Context, id int64, by string) (agent.CronRun, error)
	Output(ctx context.Context, id int64) ([]byte, error)
}

// Runs that one answer holds.
const (
	fewRuns  = 50
	mostRuns = 200
)

func (s *Server) cronRoutes() []route {
	if s.cfg.CronJobs == nil {
		return nil
	}
	const one, run = "/api/cron/:job", "/api/cron-runs/:run"
	return []route{
		{http.MethodGet, "/api/cron", owner, plain, s.getCronJobs},
		{http.MethodPost, "/api/cron", owner, plain, s.postCronJob},
		{http.MethodPost, "/api/cron-preview", owner, plain, s.postCronPreview},
		{http.MethodGet, one, owner, plain, s.getCronJob},
		{http.MethodPut, one, owner, plain, s.putCronJob},
		{http.MethodDelete, one, owner, plain, s.deleteCronJob},
		{http.MethodPost, one + "/pause", owner, plain, s.changeCronJob(s.cfg.CronJobs.Pause)},
		{http.MethodPost, one + "/resume", owner, plain, s.changeCronJob(s.cfg.CronJobs.Resume)},
		{http.MethodPost, one + "/run", owner, plain, s.postCronRun},
		{http.MethodGet, one + "/runs", owner, plain, s.getCronRuns},
		{http.MethodGet, run, owner, plain, s.getCronRun},
		{http.MethodPost, run + "/cancel", owner, plain, s.postCronRunCancel},
		{http.MethodGet, run + "/output", owner, plain, s.getCronRunOutput},
	}
}

func (s *Server) getCronJobs(c *gin.Context) error {
	jobs, err := s.cfg.CronJobs.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, jobs)
}

func (s *Server) getCronJob(c *gin.Context) error {
	job, err := s.cfg.CronJobs.Get(c.Request.Context(), c.Param("job"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, job)
}

func (s *Server) postCronJob(c *gin.Context) error {
	var in agent.CronJob
	if err := decode(c, &in); err != nil {
		return err
	}
	job, err := s.cfg.CronJobs.Create(c.Request.Context(), in, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, job)
}

func (s *Server) putCronJob(c *gin.Context) error {
	var in agent.CronJob
	if err := decode(c, &in); err != nil {
		return err
	}
	in.Name = c.Param("job")
	job, err := s.cfg.CronJobs.Edit(c.Request.Context(), in, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, job)
}

func (s *Server) deleteCronJob(c *gin.Context) error {
	if err := s.cfg.CronJobs.Delete(c.Request.Context(), c.Param("job"), identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) changeCronJob(change func(ctx context.Context, name, by string) (agent.CronJob, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		job, err := change(c.Request.Context(), c.Param("job"), identityOf(c).Name)
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, job)
	}
}

// postCronPreview tells when a schedule is due next; it keeps nothing.
func (s *Server) postCronPreview(c *gin.Context) error {
	var in struct {
		Schedule string `json:"schedule"`
		TimeZone string `json:"timeZone"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	times, err := s.cfg.CronJobs.Preview(in.Schedule, in.TimeZone)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, times)
}

func (s *Server) postCronRun(c *gin.Context) error {
	run, err := s.cfg.CronRuns.RunNow(c.Request.Context(), c.Param("job"), identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, run)
}

func (s *Server) getCronRuns(c *gin.Context) error {
	limit, err := queryInt(c, "limit", fewRuns, 1, mostRuns)
	if err != nil {
		return err
	}
	runs, err := s.cfg.CronRuns.History(c.Request.Context(), c.Param("job"), limit)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, runs)
}

func runID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("run"), 10, 64)
	if err != nil || id < 1 {
		return 0, invalid("run", c.Param("run"), "it is the number of a run")
	}
	return id, nil
}

func (s *Server) getCronRun(c *gin.Context) error {
	id, err := runID(c)
	if err != nil {
		return err
	}
	run, err := s.cfg.CronRuns.Run(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, run)
}

func (s *Server) postCronRunCancel(c *gin.Context) error {
	id, err := runID(c)
	if err != nil {
		return err
	}
	run, err := s.cfg.CronRuns.Cancel(c.Request.Context(), id, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, run)
}

func (s *Server) getCronRunOutput(c *gin.Context) error {
	id, err := runID(c)
	if err != nil {
		return err
	}
	output, err := s.cfg.CronRuns.Output(c.Request.Context(), id)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "text/plain; charset=utf-8", output)
	return nil
}
