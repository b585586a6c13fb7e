package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Channels are where reports go, with what was sent to them.
type Channels interface {
	List(ctx context.Context) ([]agent.Channel, error)
	Put(ctx context.Context, c agent.Channel) (agent.Channel, error)
	Delete(ctx context.Context, name string) error
	Test(ctx context.Context, name string) error
	Reports(ctx context.Context, limit int) ([]agent.ReportDelivery, error)
	Retry(ctx context.Context, channel string) (int64, error)
}

// Reports that one answer holds.
const (
	fewReports  = 50
	mostReports = 500
)

func (s *Server) channelRoutes() []route {
	if s.cfg.Channels == nil {
		return nil
	}
	return []route{
		{http.MethodGet, "/api/channels", owner, plain, s.getChannels},
		{http.MethodPut, "/api/channels/:channel", owner, plain, s.putChannel},
		{http.MethodDelete, "/api/channels/:channel", owner, plain, s.deleteChannel},
		{http.MethodPost, "/api/channels/:channel/test", owner, slow, s.postChannelTest},
		{http.MethodGet, "/api/reports", owner, plain, s.getReports},
		{http.MethodPost, "/api/reports/retry", owner, plain, s.postReportsRetry},
	}
}

func (s *Server) getChannels(c *gin.Context) error {
	channels, err := s.cfg.Channels.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, channels)
}

func (s *Server) putChannel(c *gin.Context) error {
	var in agent.Channel
	if err := decode(c, &in); err != nil {
		return err
	}
	in.Name = c.Param("channel")
	channel, err := s.cfg.Channels.Put(c.Request.Context(), in)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, channel)
}

func (s *Server) deleteChannel(c *gin.Context) error {
	if err := s.cfg.Channels.Delete(c.Request.Context(), c.Param("channel")); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) postChannelTest(c *gin.Context) error {
	if err := s.cfg.Channels.Test(c.Request.Context(), c.Param("channel")); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) getReports(c *gin.Context) error {
	limit, err := queryInt(c, "limit", fewReports, 1, mostReports)
	if err != nil {
		return err
	}
	reports, err := s.cfg.Channels.Reports(c.Request.Context(), limit)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, reports)
}

func (s *Server) postReportsRetry(c *gin.Context) error {
	var in struct {
		Channel string `json:"channel"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	n, err := s.cfg.Channels.Retry(c.Request.Context(), in.Channel)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]int64{"retried": n})
}
