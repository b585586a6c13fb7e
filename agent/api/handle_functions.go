package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Functions is the owner's functions.
type Functions interface {
	List(ctx context.Context) ([]agent.Function, error)
	Get(ctx context.Context, name string) (agent.Function, error)
	Deploy(ctx context.Context, d agent.FunctionDeploy, by string) (agent.FunctionVersion, error)
	Versions(ctx context.Context, name string) ([]agent.FunctionVersion, error)
	Source(ctx context.Context, name string, number int) (agent.FunctionDeploy, error)
	Rollback(ctx context.Context, name string, number int, by string) (agent.FunctionVersion, error)
	SetEnv(ctx context.Context, name string, set map[string]string, unset []string, by string) (agent.Function, error)
	Delete(ctx context.Context, name, by string) error
	Invoke(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error)
	InvokeAsync(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionLetter, error)
	Letters(ctx context.Context, name string) ([]agent.FunctionLetter, error)
	Redrive(ctx context.Context, name string) (int64, error)
	Logs(ctx context.Context, name string, follow bool) (io.ReadCloser, error)
	Emit(ctx context.Context, e agent.FunctionEvent) (agent.FunctionEventSent, error)
}

func (s *Server) functionRoutes() []route {
	if s.cfg.Functions == nil {
		return nil
	}
	const one = "/api/functions/:function"
	return []route{
		{http.MethodGet, "/api/functions", owner, plain, s.getFunctions},
		{http.MethodPost, "/api/functions", owner, upload, s.postFunction},
		{http.MethodPost, "/api/events", owner, plain, s.postFunctionEvent},
		{http.MethodGet, one, owner, plain, s.getFunction},
		{http.MethodDelete, one, owner, slow, s.deleteFunction},
		{http.MethodGet, one + "/versions", owner, plain, s.getFunctionVersions},
		{http.MethodGet, one + "/versions/:number", owner, plain, s.getFunctionSource},
		{http.MethodPost, one + "/rollback", owner, slow, s.postFunctionRollback},
		{http.MethodPost, one + "/env", owner, slow, s.postFunctionEnv},
		{http.MethodPost, one + "/invoke", owner, upload, s.postFunctionInvoke},
		{http.MethodGet, one + "/letters", owner, plain, s.getFunctionLetters},
		{http.MethodPost, one + "/letters/redrive", owner, plain, s.postFunctionRedrive},
		{http.MethodGet, one + "/logs", owner, stream, s.getFunctionLogs},
	}
}

// readLarge reads a body that may be larger than others.
func readLarge(c *gin.Context, most int64, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, most))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badJSON(err)
	}
	return nil
}

func functionName(c *gin.Context) (string, error) {
	name := c.Param("function")
	return name, agent.ValidateName("function", name)
}

// answered is the answer of a method that may fail.
func answered[T any](c *gin.Context, status int, value T, err error) error {
	if err != nil {
		return err
	}
	return answer(c, status, value)
}

func (s *Server) getFunctions(c *gin.Context) error {
	list, err := s.cfg.Functions.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) postFunction(c *gin.Context) error {
	var d agent.FunctionDeploy
	if err := readLarge(c, 2*agent.MaxFunctionSource, &d); err != nil {
		return err
	}
	v, err := s.cfg.Functions.Deploy(c.Request.Context(), d, identityOf(c).Name)
	return answered(c, http.StatusAccepted, v, err)
}

func (s *Server) getFunction(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	f, err := s.cfg.Functions.Get(c.Request.Context(), name)
	return answered(c, http.StatusOK, f, err)
}

func (s *Server) deleteFunction(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Functions.Delete(c.Request.Context(), name, identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (s *Server) getFunctionVersions(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	list, err := s.cfg.Functions.Versions(c.Request.Context(), name)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) getFunctionSource(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(c.Param("number"))
	if err != nil || number < 1 {
		return invalid("number", c.Param("number"), "a version is named by its number")
	}
	d, err := s.cfg.Functions.Source(c.Request.Context(), name, number)
	return answered(c, http.StatusOK, d, err)
}

func (s *Server) postFunctionRollback(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	var in struct {
		Version int `json:"version"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	v, err := s.cfg.Functions.Rollback(c.Request.Context(), name, in.Version, identityOf(c).Name)
	return answered(c, http.StatusOK, v, err)
}

func (s *Server) postFunctionEnv(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	var in struct {
		Set   map[string]string `json:"set"`
		Unset []string          `json:"unset"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	f, err := s.cfg.Functions.SetEnv(c.Request.Context(), name, in.Set, in.Unset, identityOf(c).Name)
	return answered(c, http.StatusOK, f, err)
}

func (s *Server) postFunctionInvoke(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	later, err := queryBool(c, "async")
	if err != nil {
		return err
	}
	var call agent.FunctionCall
	if err := readLarge(c, 2*agent.MaxFunctionPayload, &call); err != nil {
		return err
	}
	if later {
		l, err := s.cfg.Functions.InvokeAsync(c.Request.Context(), name, call)
		return answered(c, http.StatusAccepted, l, err)
	}
	a, err := s.cfg.Functions.Invoke(c.Request.Context(), name, call)
	return answered(c, http.StatusOK, a, err)
}

func (s *Server) postFunctionEvent(c *gin.Context) error {
	var e agent.FunctionEvent
	if err := readLarge(c, 2*agent.MaxFunctionEvent, &e); err != nil {
		return err
	}
	sent, err := s.cfg.Functions.Emit(c.Request.Context(), e)
	return answered(c, http.StatusAccepted, sent, err)
}

func (s *Server) getFunctionLetters(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	list, err := s.cfg.Functions.Letters(c.Request.Context(), name)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, list)
}

func (s *Server) postFunctionRedrive(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	n, err := s.cfg.Functions.Redrive(c.Request.Context(), name)
	return answered(c, http.StatusOK, map[string]int64{"redriven": n}, err)
}

func (s *Server) getFunctionLogs(c *gin.Context) error {
	name, err := functionName(c)
	if err != nil {
		return err
	}
	follow, err := queryBool(c, "follow")
	if err != nil {
		return err
	}
	if _, err := s.cfg.Functions.Get(c.Request.Context(), name); err != nil {
		return err // while it can be answered with a status
	}
	return streamSeq(s, c, "line", func(ctx context.Context) iter.Seq2[agent.FunctionLine, error] {
		return func(yield func(agent.FunctionLine, error) bool) {
			log, err := s.cfg.Functions.Logs(ctx, name, follow)
			if err != nil {
				yield(agent.FunctionLine{}, err)
				return
			}
			defer func() { _ = log.Close() }() // only read from
			lines := bufio.NewScanner(log)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				if !yield(agent.FunctionLine{Text: lines.Text()}, nil) {
					return
				}
			}
			if err := lines.Err(); err != nil && ctx.Err() == nil {
				yield(agent.FunctionLine{}, err)
			}
		}
	})
}
