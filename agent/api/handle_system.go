package api

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Lines of activity that one answer holds.
const (
	fewActivities  = 100
	mostActivities = 1000
)

func (s *Server) healthz(c *gin.Context) error {
	status, word := http.StatusOK, "ok"
	if !s.cfg.Ready() {
		status, word = http.StatusServiceUnavailable, "starting"
	}
	return answer(c, status, map[string]string{"status": word})
}

func (s *Server) getInfo(c *gin.Context) error {
	info, err := s.info(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, info)
}

func (s *Server) getRootCA(c *gin.Context) error {
	text, err := s.cfg.RootCA.RootCA(c.Request.Context())
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", `attachment; filename="hks-ca.crt"`)
	c.Data(http.StatusOK, "application/x-x509-ca-cert", text)
	return nil
}

func (s *Server) getSystem(c *gin.Context) error {
	system := s.cfg.System.System(c.Request.Context())
	if system.Parts == nil {
		system.Parts = []agent.Part{}
	}
	return answer(c, http.StatusOK, system)
}

func (s *Server) getActivity(c *gin.Context) error {
	limit, err := queryInt(c, "limit", fewActivities, 1, mostActivities)
	if err != nil {
		return err
	}
	activities, err := s.cfg.Journal.store.Activities(c.Request.Context(), limit)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, activities)
}

// getEvents streams the hub. Each event is called by its kind. Who comes back
// with Last-Event-ID gets what it missed, or "reset" when that is no longer
// known: then it reads everything afresh.
func (s *Server) getEvents(c *gin.Context) error {
	var after int64
	if text := c.GetHeader("Last-Event-ID"); text != "" {
		var err error
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 1 {
			return invalid("Last-Event-ID", text, "it is the id of an event seen before")
		}
	}
	stream, err := s.openStream(c)
	if err != nil {
		return err
	}
	defer stream.close()
	l := s.cfg.Hub.listen(after)
	defer s.cfg.Hub.leave(l)
	if err := s.sendEvents(c, stream, l); err != nil {
		s.cfg.Log.DebugContext(c.Request.Context(), "an event stream was left", "route", routeOf(c), "error", err)
	}
	return nil // nobody is left to tell
}

func (s *Server) sendEvents(c *gin.Context, stream *eventStream, l *listener) error {
	send := func(event agent.Event) error { return stream.send(event.Kind, event.ID, event) }
	if l.reset {
		if err := stream.send("reset", l.from, struct{}{}); err != nil {
			return err
		}
	}
	for _, event := range l.missed {
		if err := send(event); err != nil {
			return err
		}
	}
	if err := stream.mark(l.from); err != nil {
		return err
	}
	_, err := pump(s, c, stream, l.queue, send)
	return err
}
