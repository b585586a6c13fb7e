package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Incidents are what the assistant has found.
type Incidents interface {
	List(ctx context.Context, limit int, pending bool) ([]agent.Incident, error)
	Get(ctx context.Context, id int64) (agent.Incident, error)
	Ack(ctx context.Context, id int64, by string) (agent.Incident, error)
	Resolve(ctx context.Context, id int64, by string) (agent.Incident, error)
	Accept(ctx context.Context, id int64, by string) (agent.Incident, error)
}

// Silences are what the owner does not want to hear of.
type Silences interface {
	Silences(ctx context.Context) ([]agent.Silence, error)
	Silence(ctx context.Context, s agent.Silence, incident int64, d time.Duration, by string) (agent.Silence, error)
	Unsilence(ctx context.Context, id int64) error
}

// Insight is what the assistant knows beside incidents.
type Insight interface {
	Attention(ctx context.Context, channels []agent.Channel) ([]agent.Attention, error)
	Series(ctx context.Context, s agent.Subject, since time.Duration) ([]agent.Series, error)
}

// Incidents that one answer holds, and how far figures go back.
const (
	fewIncidents  = 100
	mostIncidents = 1000
	longestSeries = 30 * 24 * time.Hour
)

func (s *Server) incidentRoutes() []route {
	if s.cfg.Incidents == nil {
		return nil
	}
	const one = "/api/incidents/:incident"
	return []route{
		{http.MethodGet, "/api/incidents", owner, plain, s.getIncidents},
		{http.MethodGet, one, owner, plain, s.getIncident},
		{http.MethodPost, one + "/ack", owner, plain, s.changeIncident(s.cfg.Incidents.Ack)},
		{http.MethodPost, one + "/resolve", owner, plain, s.changeIncident(s.cfg.Incidents.Resolve)},
		{http.MethodPost, one + "/accept", owner, plain, s.changeIncident(s.cfg.Incidents.Accept)},
		{http.MethodGet, "/api/silences", owner, plain, s.getSilences},
		{http.MethodPost, "/api/silences", owner, plain, s.postSilence},
		{http.MethodDelete, "/api/silences/:silence", owner, plain, s.deleteSilence},
		{http.MethodGet, "/api/attention", owner, plain, s.getAttention},
		{http.MethodGet, "/api/series", owner, plain, s.getFigures},
	}
}

func (s *Server) getIncidents(c *gin.Context) error {
	limit, err := queryInt(c, "limit", fewIncidents, 1, mostIncidents)
	if err != nil {
		return err
	}
	pending, err := queryBool(c, "pending")
	if err != nil {
		return err
	}
	incidents, err := s.cfg.Incidents.List(c.Request.Context(), limit, pending)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, incidents)
}

// numberOf reads a positive number of the path.
func numberOf(c *gin.Context, param string) (int64, error) {
	id, err := strconv.ParseInt(c.Param(param), 10, 64)
	if err != nil || id < 1 {
		return 0, invalid(param, c.Param(param), "it is a number")
	}
	return id, nil
}

func (s *Server) getIncident(c *gin.Context) error {
	id, err := numberOf(c, "incident")
	if err != nil {
		return err
	}
	incident, err := s.cfg.Incidents.Get(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, incident)
}

func (s *Server) changeIncident(change func(ctx context.Context, id int64, by string) (agent.Incident, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		id, err := numberOf(c, "incident")
		if err != nil {
			return err
		}
		incident, err := change(c.Request.Context(), id, identityOf(c).Name)
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, incident)
	}
}

func (s *Server) getSilences(c *gin.Context) error {
	silences, err := s.cfg.Silences.Silences(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, silences)
}

func (s *Server) postSilence(c *gin.Context) error {
	var in struct {
		Incident int64         `json:"incident"`
		Subject  string        `json:"subject"`
		Detector string        `json:"detector"`
		Reason   string        `json:"reason"`
		For      time.Duration `json:"for"` // nanoseconds
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	silence, err := s.cfg.Silences.Silence(c.Request.Context(), agent.Silence{Subject: in.Subject, Detector: in.Detector, Reason: in.Reason}, in.Incident, in.For, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, silence)
}

func (s *Server) deleteSilence(c *gin.Context) error {
	id, err := numberOf(c, "silence")
	if err != nil {
		return err
	}
	if err := s.cfg.Silences.Unsilence(c.Request.Context(), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) getAttention(c *gin.Context) error {
	channels, err := s.cfg.Channels.List(c.Request.Context())
	if err != nil {
		return err
	}
	list, err := s.cfg.Insight.Attention(c.Request.Context(), channels)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

// getFigures answers with the kept series of one thing.
func (s *Server) getFigures(c *gin.Context) error {
	since, err := queryDuration(c, "since", 24*time.Hour, longestSeries)
	if err != nil {
		return err
	}
	subject := agent.Subject{Kind: c.Query("kind"), Name: c.Query("name")}
	switch subject.Kind {
	case agent.SubjectApp:
		if subject.Environment, err = agent.ParseEnvironment(c.Query("environment")); err != nil {
			return err
		}
	case agent.SubjectService, agent.SubjectFunction, agent.SubjectNode:
	default:
		return invalid("kind", subject.Kind, "use app, service, function or node")
	}
	if subject.Name == "" {
		return invalid("name", "", "it names what the figures are of")
	}
	series, err := s.cfg.Insight.Series(c.Request.Context(), subject, since)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, series)
}
