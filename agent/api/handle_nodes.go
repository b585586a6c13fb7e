package api

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/node"
)

// joinScript lets another machine join; what is between @ is filled in.
//
//go:embed join.sh
var joinScript string

// Nodes are the machines of the cluster.
type Nodes interface {
	List(ctx context.Context) ([]agent.Node, error)
	Show(ctx context.Context, name string) (agent.Node, error)
	Invite(ctx context.Context, name, by string, at node.Place) (agent.Node, error)
	Drain(ctx context.Context, name, by string) (agent.Node, error)
	Resume(ctx context.Context, name, by string) (agent.Node, error)
	Remove(ctx context.Context, name, by string) (agent.Node, error)
}

// Joins is what a machine does that was invited.
type Joins interface {
	Progress(ctx context.Context, secret string) (agent.Node, error)
	Invited(ctx context.Context, secret string) (string, error)
	Begin(ctx context.Context, secret, host string, request agent.JoinRequest) (agent.JoinPlan, error)
	Report(ctx context.Context, secret string, step agent.NodeStep) error
}

// JoinFiles are what such a machine fetches.
type JoinFiles interface {
	Files() ([]agent.JoinFile, error)
	Open(name string) (io.ReadSeekCloser, error)
}

func (s *Server) nodeRoutes() []route {
	if s.cfg.Nodes == nil {
		return nil
	}
	const one = "/api/nodes/:node"
	return []route{
		{http.MethodGet, "/api/nodes", owner, plain, s.getNodes},
		{http.MethodPost, "/api/nodes", owner, plain, s.postNode},
		{http.MethodGet, one, owner, plain, s.getNode},
		{http.MethodDelete, one, owner, plain, s.changeNode(s.cfg.Nodes.Remove)},
		{http.MethodPost, one + "/drain", owner, plain, s.changeNode(s.cfg.Nodes.Drain)},
		{http.MethodPost, one + "/resume", owner, plain, s.changeNode(s.cfg.Nodes.Resume)},

		{http.MethodGet, "/join.sh", public, plain, s.getJoinScript},
		{http.MethodGet, "/api/join", joiner, plain, s.getJoin},
		{http.MethodPost, "/api/join", joiner, slow, s.postJoin},
		{http.MethodPost, "/api/join/steps", joiner, plain, s.postJoinStep},
		{http.MethodGet, "/api/join/files/:file", joiner, slow, s.getJoinFile},
	}
}

func (s *Server) getNodes(c *gin.Context) error {
	nodes, err := s.cfg.Nodes.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, nodes)
}

func (s *Server) getNode(c *gin.Context) error {
	found, err := s.cfg.Nodes.Show(c.Request.Context(), c.Param("node"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, found)
}

func (s *Server) postNode(c *gin.Context) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	invited, err := s.cfg.Nodes.Invite(c.Request.Context(), in.Name, identityOf(c).Name, node.Place{URL: s.outwardURL(c), Pin: s.pinned()})
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, invited)
}

func (s *Server) changeNode(change func(ctx context.Context, name, by string) (agent.Node, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		changed, err := change(c.Request.Context(), c.Param("node"), identityOf(c).Name)
		if err != nil {
			return err
		}
		return answer(c, http.StatusAccepted, changed)
	}
}

// outwardURL is the address under which another machine reaches the API: the
// one that was asked for it, unless only this machine understands that.
func (s *Server) outwardURL(c *gin.Context) string {
	listens := s.cfg.Settings.API.Listen
	if address := s.Addr(); address != nil {
		listens = address.String()
	}
	_, port, err := net.SplitHostPort(listens)
	if err != nil {
		port = "8443" // can't be: the settings were checked
	}
	host := hostOf(c.Request)
	address := net.ParseIP(host)
	if isLocal(c.Request) || host == "localhost" || strings.HasSuffix(host, ".localhost") || (address != nil && address.IsLoopback()) {
		host = s.names.outward()
	}
	return "https://" + net.JoinHostPort(host, port)
}

func (s *Server) getJoinScript(c *gin.Context) error {
	files, err := s.cfg.JoinFiles.Files()
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.Name != "hks-installer" {
			continue
		}
		text := strings.NewReplacer("@URL@", s.outwardURL(c), "@PIN@", s.pinned(), "@FINGERPRINT@", s.Fingerprint(), "@SHA256@", file.SHA256).Replace(joinScript)
		c.Data(http.StatusOK, "text/x-shellscript; charset=utf-8", []byte(text))
		return nil
	}
	return agent.Errorf(agent.CodeNotFound, "run hks-installer up again on the appliance", "the installer is missing on the appliance")
}

func (s *Server) getJoin(c *gin.Context) error {
	progress, err := s.cfg.Joins.Progress(c.Request.Context(), bearer(c))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, progress)
}

func (s *Server) postJoin(c *gin.Context) error {
	var request agent.JoinRequest
	if err := decode(c, &request); err != nil {
		return err
	}
	plan, err := s.cfg.Joins.Begin(c.Request.Context(), bearer(c), hostOf(c.Request), request)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, plan)
}

func (s *Server) postJoinStep(c *gin.Context) error {
	var step agent.NodeStep
	if err := decode(c, &step); err != nil {
		return err
	}
	if err := s.cfg.Joins.Report(c.Request.Context(), bearer(c), step); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// getJoinFile sends a program or an archive of images to an invited machine.
func (s *Server) getJoinFile(c *gin.Context) error {
	if _, err := s.cfg.Joins.Invited(c.Request.Context(), bearer(c)); err != nil {
		return err
	}
	name := c.Param("file")
	files, err := s.cfg.JoinFiles.Files()
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.Name != name {
			continue
		}
		content, err := s.cfg.JoinFiles.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = content.Close() }() // only read
		c.Header("Content-Type", "application/octet-stream")
		c.Header("Content-Length", fmt.Sprint(file.Size))
		c.Status(http.StatusOK)
		_, _ = io.Copy(c.Writer, content) // a broken connection is the reader's business
		return nil
	}
	return agent.Errorf(agent.CodeNotFound, "", "there is no file %q for machines that join", name)
}

// bearer is the secret of a request's Authorization header.
func bearer(c *gin.Context) string {
	_, secret, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	return secret
}
