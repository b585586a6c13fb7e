package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Volumes are what apps and services keep their data on.
type Volumes interface {
	List(ctx context.Context) ([]agent.Volume, error)
	Get(ctx context.Context, name string) (agent.Volume, error)
	Resize(ctx context.Context, name, size, by string) (agent.Volume, error)
	Delete(ctx context.Context, name string, now bool, by string) (agent.Volume, error)
	Restore(ctx context.Context, name, by string) (agent.Volume, error)
}

func (s *Server) volumeRoutes() []route {
	if s.cfg.Volumes == nil {
		return nil
	}
	const one = "/api/volumes/:volume"
	return []route{
		{http.MethodGet, "/api/volumes", owner, plain, s.getVolumes},
		{http.MethodGet, one, owner, plain, s.getVolume},
		{http.MethodDelete, one, owner, plain, s.deleteVolume},
		{http.MethodPost, one + "/resize", owner, plain, s.postVolumeResize},
		{http.MethodPost, one + "/restore", owner, plain, s.postVolumeRestore},
	}
}

func (s *Server) getVolumes(c *gin.Context) error {
	volumes, err := s.cfg.Volumes.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, volumes)
}

func (s *Server) getVolume(c *gin.Context) error {
	volume, err := s.cfg.Volumes.Get(c.Request.Context(), c.Param("volume"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, volume)
}

func (s *Server) deleteVolume(c *gin.Context) error {
	now, err := queryBool(c, "now")
	if err != nil {
		return err
	}
	volume, err := s.cfg.Volumes.Delete(c.Request.Context(), c.Param("volume"), now, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, volume)
}

func (s *Server) postVolumeResize(c *gin.Context) error {
	var in agent.VolumeResize
	if err := decode(c, &in); err != nil {
		return err
	}
	volume, err := s.cfg.Volumes.Resize(c.Request.Context(), c.Param("volume"), in.Size, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, volume)
}

func (s *Server) postVolumeRestore(c *gin.Context) error {
	volume, err := s.cfg.Volumes.Restore(c.Request.Context(), c.Param("volume"), identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, volume)
}
