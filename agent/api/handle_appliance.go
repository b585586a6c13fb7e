package api

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Appliance keeps the appliance itself: its archives and drills.
type Appliance interface {
	State(ctx context.Context) (agent.ApplianceBackups, error)
	Back(ctx context.Context, volumes bool, by string) (agent.ApplianceJob, error)
	Drill(ctx context.Context, id int64, by string) (agent.ApplianceJob, error)
	Job(ctx context.Context, id int64) (agent.ApplianceJob, error)
	Get(ctx context.Context, id int64) (agent.ApplianceBackup, error)
	Open(ctx context.Context, id int64) (agent.ApplianceBackup, *os.File, error)
	Delete(ctx context.Context, id int64, by string) error
	ShowKey(ctx context.Context, by string) (agent.RecoveryKey, error)
}

// Updates tells of newer versions.
type Updates interface {
	Update(ctx context.Context) agent.Update
	Look(ctx context.Context) agent.Update
}

// applianceRoutes are those of the appliance itself; none where nothing keeps it.
func (s *Server) applianceRoutes() []route {
	var routes []route
	if s.cfg.Appliance != nil {
		const backups = "/api/appliance/backups"
		routes = append(routes,
			route{http.MethodGet, backups, owner, plain, s.getApplianceBackups},
			route{http.MethodPost, backups, owner, plain, s.postApplianceBackup},
			route{http.MethodGet, backups + "/:backup", owner, plain, s.getApplianceBackup},
			route{http.MethodGet, backups + "/:backup/archive", owner, stream, s.getApplianceArchive},
			route{http.MethodDelete, backups + "/:backup", owner, slow, s.deleteApplianceBackup},
			route{http.MethodPost, backups + "/:backup/drill", owner, plain, s.postApplianceDrill},
			route{http.MethodPost, "/api/appliance/drill", owner, plain, s.postApplianceDrill},
			route{http.MethodGet, "/api/appliance/jobs/:job", owner, plain, s.getApplianceJob},
			route{http.MethodPost, "/api/appliance/recovery-key", owner, plain, s.postRecoveryKey}, // no GET: each look is recorded
		)
	}
	if s.cfg.Updates != nil {
		routes = append(routes,
			route{http.MethodGet, "/api/appliance/update", owner, plain, func(c *gin.Context) error {
				return answer(c, http.StatusOK, s.cfg.Updates.Update(c.Request.Context()))
			}},
			route{http.MethodPost, "/api/appliance/update", owner, plain, func(c *gin.Context) error {
				return answer(c, http.StatusOK, s.cfg.Updates.Look(c.Request.Context()))
			}})
	}
	return routes
}

func (s *Server) getApplianceBackups(c *gin.Context) error {
	state, err := s.cfg.Appliance.State(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, state)
}

func (s *Server) postApplianceBackup(c *gin.Context) error {
	var in struct {
		Volumes bool `json:"volumes"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	job, err := s.cfg.Appliance.Back(c.Request.Context(), in.Volumes, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

func (s *Server) getApplianceBackup(c *gin.Context) error {
	id, err := backupID(c)
	if err != nil {
		return err
	}
	b, err := s.cfg.Appliance.Get(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, b)
}

// getApplianceArchive sends an archive as it is, encrypted. What is cut short
// has fewer bytes than announced.
func (s *Server) getApplianceArchive(c *gin.Context) error {
	id, err := backupID(c)
	if err != nil {
		return err
	}
	b, file, err := s.cfg.Appliance.Open(c.Request.Context(), id)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	end := time.Now().Add(imageTimeout)
	if err := moveDeadlines(c, end, end); err != nil {
		return err
	}
	c.DataFromReader(http.StatusOK, b.Bytes, "application/octet-stream", file, map[string]string{
		"Content-Disposition": `attachment; filename="` + b.File + `"`, "X-Hks-Sha256": b.SHA256,
	})
	return nil
}

func (s *Server) deleteApplianceBackup(c *gin.Context) error {
	id, err := backupID(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Appliance.Delete(c.Request.Context(), id, identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) postApplianceDrill(c *gin.Context) error {
	var id int64
	if c.Param("backup") != "" {
		var err error
		if id, err = backupID(c); err != nil {
			return err
		}
	}
	job, err := s.cfg.Appliance.Drill(c.Request.Context(), id, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, job)
}

func (s *Server) getApplianceJob(c *gin.Context) error {
	id, err := strconv.ParseInt(c.Param("job"), 10, 64)
	if err != nil {
		return invalid("job", c.Param("job"), "a job is named by its number")
	}
	job, err := s.cfg.Appliance.Job(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, job)
}

func (s *Server) postRecoveryKey(c *gin.Context) error {
	key, err := s.cfg.Appliance.ShowKey(c.Request.Context(), identityOf(c).Name)
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	return answer(c, http.StatusOK, key)
}
