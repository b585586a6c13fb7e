package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

func (s *Server) getWorkspace(c *gin.Context) error {
	workspace, err := s.cfg.Workspaces.Current(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, workspace)
}

func (s *Server) postWorkspace(c *gin.Context) error {
	name, err := workspaceName(c)
	if err != nil {
		return err
	}
	workspace, err := s.cfg.Workspaces.Create(c.Request.Context(), name, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, workspace)
}

func (s *Server) patchWorkspace(c *gin.Context) error {
	name, err := workspaceName(c)
	if err != nil {
		return err
	}
	workspace, err := s.cfg.Workspaces.Rename(c.Request.Context(), name, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, workspace)
}

func workspaceName(c *gin.Context) (string, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return "", err
	}
	return in.Name, agent.ValidateName("workspace", in.Name)
}

func (s *Server) getKubeconfig(c *gin.Context) error {
	text, err := s.cfg.Workspaces.Kubeconfig(c.Request.Context())
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", `attachment; filename="hks-kubeconfig.yaml"`)
	c.Data(http.StatusOK, "application/yaml; charset=utf-8", text)
	return nil
}
