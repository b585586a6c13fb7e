package api

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// marketRoutes are those of the marketplace; none when there is no marketplace.
func (s *Server) marketRoutes() []route {
	if s.cfg.Market == nil {
		return nil
	}
	const service = "/api/services/:service"
	return []route{
		{http.MethodGet, "/api/market", owner, plain, s.getCatalogue},
		{http.MethodGet, "/api/market/:chart", owner, plain, s.getCatalogueEntry},
		{http.MethodPost, "/api/market", owner, upload, s.postChart},

		{http.MethodGet, "/api/services", owner, plain, s.getServices},
		{http.MethodPost, "/api/services", owner, slow, s.postService},
		{http.MethodGet, service, owner, plain, s.getService},
		{http.MethodDelete, service, owner, plain, s.deleteService},
		{http.MethodPost, service + "/upgrade", owner, plain, s.postServiceUpgrade},
		{http.MethodPost, service + "/diff", owner, plain, s.postServiceDiff},
		{http.MethodPost, service + "/move", owner, plain, s.postServiceMove},
		{http.MethodPost, service + "/move/plan", owner, plain, s.postServiceMovePlan},
		{http.MethodPost, service + "/test", owner, slow, s.postServiceTest},
		{http.MethodPost, service + "/rotate", owner, plain, s.jobOf(func(ctx context.Context, name, by string, _ int64) (agent.ServiceJob, error) {
			return s.cfg.Market.Rotate(ctx, name, by)
		})},
		{http.MethodPost, service + "/credentials", owner, plain, s.postCredentials}, // no GET: each look is recorded
		{http.MethodPost, service + "/bindings", owner, plain, s.postBinding},
		{http.MethodDelete, service + "/bindings/:app/:env", owner, plain, s.deleteBinding},
		{http.MethodGet, service + "/port-forward", owner, session, s.getServiceForward},
		{http.MethodGet, service + "/jobs/:job", owner, plain, s.getServiceJob},

		{http.MethodGet, service + "/backups", owner, plain, s.getBackups},
		{http.MethodPost, service + "/backups", owner, plain, s.jobOf(func(ctx context.Context, name, by string, _ int64) (agent.ServiceJob, error) {
			return s.cfg.Market.Backup(ctx, name, by)
		})},
		{http.MethodPost, service + "/verify", owner, plain, s.jobOf(func(ctx context.Context, name, by string, _ int64) (agent.ServiceJob, error) {
			return s.cfg.Market.Verify(ctx, name, 0, by)
		})},
		{http.MethodPost, service + "/backups/:backup/verify", owner, plain, s.jobOf(func(ctx context.Context, name, by string, id int64) (agent.ServiceJob, error) {
			return s.cfg.Market.Verify(ctx, name, id, by)
		})},
		{http.MethodPost, service + "/backups/:backup/restore", owner, slow, s.jobOf(func(ctx context.Context, name, by string, id int64) (agent.ServiceJob, error) {
			return s.cfg.Market.Restore(ctx, name, id, by)
		})},
		{http.MethodDelete, service + "/backups/:backup", owner, plain, s.deleteBackup},

		{http.MethodGet, "/api/backup-target", owner, plain, s.getBackupTarget},
		{http.MethodPut, "/api/backup-target", owner, slow, s.putBackupTarget},
	}
}

func (s *Server) getCatalogue(c *gin.Context) error {
	entries, err := s.cfg.Market.Catalogue(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, entries)
}

func (s *Server) getCatalogueEntry(c *gin.Context) error {
	if err := agent.ValidateName("chart", c.Param("chart")); err != nil {
		return err
	}
	entry, err := s.cfg.Market.Entry(c.Request.Context(), c.Param("chart"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, entry)
}

// maxChartUpload bounds the archive of a chart, in bytes.
const maxChartUpload = 9 << 20

func (s *Server) postChart(c *gin.Context) error {
	body := http.MaxBytesReader(c.Writer, c.Request.Body, maxChartUpload)
	entry, err := s.cfg.Market.AddChart(c.Request.Context(), io.Reader(body), identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, entry)
}

func (s *Server) getServices(c *gin.Context) error {
	services, err := s.cfg.Market.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, services)
}

func (s *Server) postService(c *gin.Context) error {
	var request agent.ServiceRequest
	if err := decode(c, &request); err != nil {
		return err
	}
	job, err := s.cfg.Market.Install(c.Request.Context(), request, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

func (s *Server) getService(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	service, err := s.cfg.Market.Get(c.Request.Context(), name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, service)
}

func (s *Server) deleteService(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	force, err := queryBool(c, "force")
	if err != nil {
		return err
	}
	purge, err := queryBool(c, "purge")
	if err != nil {
		return err
	}
	job, err := s.cfg.Market.Uninstall(c.Request.Context(), name, force, purge, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

func (s *Server) postServiceUpgrade(c *gin.Context) error {
	name, upgrade, err := upgradeRequest(c)
	if err != nil {
		return err
	}
	job, err := s.cfg.Market.Upgrade(c.Request.Context(), name, upgrade, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

func (s *Server) postServiceDiff(c *gin.Context) error {
	name, upgrade, err := upgradeRequest(c)
	if err != nil {
		return err
	}
	changes, err := s.cfg.Market.UpgradeDiff(c.Request.Context(), name, upgrade)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, changes)
}

func (s *Server) postServiceMove(c *gin.Context) error {
	name, move, err := serviceMove(c)
	if err != nil {
		return err
	}
	job, err := s.cfg.Market.Move(c.Request.Context(), name, move.To, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

// postServiceMovePlan tells what a move would do; it changes nothing.
func (s *Server) postServiceMovePlan(c *gin.Context) error {
	name, move, err := serviceMove(c)
	if err != nil {
		return err
	}
	plan, err := s.cfg.Market.PlanMove(c.Request.Context(), name, move.To)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, plan)
}

func serviceMove(c *gin.Context) (string, agent.Move, error) {
	var move agent.Move
	name, err := serviceName(c)
	if err != nil {
		return "", move, err
	}
	return name, move, decode(c, &move)
}

func upgradeRequest(c *gin.Context) (string, agent.ServiceUpgrade, error) {
	var upgrade agent.ServiceUpgrade
	name, err := serviceName(c)
	if err != nil {
		return "", upgrade, err
	}
	return name, upgrade, decode(c, &upgrade)
}

func (s *Server) postServiceTest(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Market.Test(c.Request.Context(), name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) postCredentials(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	credentials, err := s.cfg.Market.Credentials(c.Request.Context(), name, identityOf(c).Name)
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	return answer(c, http.StatusOK, credentials)
}

func (s *Server) postBinding(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	var bind agent.Bind
	if err := decode(c, &bind); err != nil {
		return err
	}
	binding, err := s.cfg.Market.Bind(c.Request.Context(), name, bind, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, binding)
}

func (s *Server) deleteBinding(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	app := c.Param("app")
	if err := agent.ValidateName("app", app); err != nil {
		return err
	}
	env, err := agent.ParseBound(c.Param("env"))
	if err != nil {
		return err
	}
	binding, err := s.cfg.Market.Unbind(c.Request.Context(), name, app, env, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, binding)
}

func (s *Server) getServiceJob(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(c.Param("job"), 10, 64)
	if err != nil {
		return invalid("job", c.Param("job"), "a job is named by its number")
	}
	job, err := s.cfg.Market.Job(c.Request.Context(), id)
	if err == nil && job.Service != name {
		err = agent.Errorf(agent.CodeNotFound, "", "%s has no job %d", name, id)
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, job)
}

func (s *Server) getBackups(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	backups, err := s.cfg.Market.Backups(c.Request.Context(), name)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, backups)
}

func (s *Server) deleteBackup(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	id, err := backupID(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Market.DeleteBackup(c.Request.Context(), name, id, identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// jobOf handles what needs nothing but a service's name, and a backup's number
// where the path has one, and begins a job.
func (s *Server) jobOf(begin func(ctx context.Context, name, by string, backup int64) (agent.ServiceJob, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		name, err := serviceName(c)
		if err != nil {
			return err
		}
		var backup int64
		if c.Param("backup") != "" {
			if backup, err = backupID(c); err != nil {
				return err
			}
		}
		job, err := begin(c.Request.Context(), name, identityOf(c).Name, backup)
		if err != nil {
			return err
		}
		return answer(c, http.StatusAccepted, job)
	}
}

func (s *Server) getBackupTarget(c *gin.Context) error {
	target, err := s.cfg.Market.Target(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, target)
}

func (s *Server) putBackupTarget(c *gin.Context) error {
	var target agent.BackupTarget
	if err := decode(c, &target); err != nil {
		return err
	}
	target, err := s.cfg.Market.SetTarget(c.Request.Context(), target, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, target)
}

// getServiceForward connects to a service. Without an upgrade it tells where
// that would go.
func (s *Server) getServiceForward(c *gin.Context) error {
	name, err := serviceName(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), connectTimeout)
	defer cancel()
	target, err := s.cfg.Market.Find(ctx, name)
	if err != nil {
		return err
	}
	if !isUpgrade(c.Request) {
		return answer(c, http.StatusOK, target)
	}
	w, err := s.openWire(c, s.forwards)
	if err != nil {
		return err
	}
	defer w.close()
	dialling, cancelDial := context.WithTimeout(w.ctx, connectTimeout)
	tunnel, err := s.cfg.Market.Dial(dialling, target)
	cancelDial()
	if err != nil {
		s.fail(c, w, err)
		return nil
	}
	s.recordForward(c, name, target)
	if err := copyTunnel(w, tunnel); err != nil {
		s.fail(c, w, err)
		return nil
	}
	w.finish(agent.ChannelStdout, nil)
	return nil
}

func serviceName(c *gin.Context) (string, error) {
	name := c.Param("service")
	return name, agent.ValidateName("service", name)
}

func backupID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("backup"), 10, 64)
	if err != nil || id < 1 {
		return 0, invalid("backup", c.Param("backup"), "a backup is named by its number")
	}
	return id, nil
}
