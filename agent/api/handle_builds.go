package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// maxBuildRequest bounds the part of an upload that says what to do: mostly
// values of the environment.
const maxBuildRequest = 1 << 20

// postBuild takes a source and builds it. The body has two parts: request,
// which is an agent.BuildRequest, then source, a tar archive.
func (s *Server) postBuild(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return tooMany(10, fmt.Sprintf("%d uploads are on their way already", maxUploads))
	}
	body := &movingBody{body: c.Request.Body, control: http.NewResponseController(c.Writer)}
	c.Request.Body = io.NopCloser(body)
	parts, err := c.Request.MultipartReader()
	if err != nil {
		return malformedBuild("it is not announced as multipart/form-data")
	}
	request, err := buildRequest(parts)
	if err != nil {
		return orBroken(body, err)
	}
	source, err := parts.NextPart()
	if err != nil || source.FormName() != "source" {
		return orBroken(body, malformedBuild("its second part is not the source"))
	}
	build, err := s.cfg.Builds.Submit(c.Request.Context(), name, env, request, source, identityOf(c).Name)
	if err != nil {
		return orBroken(body, err)
	}
	return answer(c, http.StatusAccepted, build)
}

func buildRequest(parts *multipart.Reader) (agent.BuildRequest, error) {
	var request agent.BuildRequest
	part, err := parts.NextPart()
	if err != nil || part.FormName() != "request" {
		return request, malformedBuild("its first part is not the request")
	}
	dec := json.NewDecoder(io.LimitReader(part, maxBuildRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&request); err != nil {
		return request, badJSON(err)
	}
	return request, nil
}

func malformedBuild(why string) error {
	return &agent.Error{
		Code: agent.CodeInvalid, Message: "the upload can't be read: " + why,
		Fix: "send the parts request (JSON) and source (tar), or use: hks deploy", Details: map[string]any{"field": "body"},
	}
}

// orBroken is the error of an upload, or what broke the upload itself.
func orBroken(body *movingBody, err error) error {
	if body.failed != nil {
		return brokenUpload(body.failed)
	}
	return err
}

func (s *Server) getBuilds(c *gin.Context) error {
	app, env := c.Query("app"), agent.Environment(c.Query("environment"))
	if app != "" {
		if err := agent.ValidateName("app", app); err != nil {
			return err
		}
	}
	if env != "" {
		if _, err := agent.ParseEnvironment(string(env)); err != nil {
			return err
		}
	}
	builds, err := s.cfg.Builds.List(c.Request.Context(), app, env)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, builds)
}

func (s *Server) getBuild(c *gin.Context) error {
	id, err := buildID(c)
	if err != nil {
		return err
	}
	build, err := s.cfg.Builds.Get(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, build)
}

func (s *Server) getBuildLog(c *gin.Context) error {
	id, err := buildID(c)
	if err != nil {
		return err
	}
	follow, err := queryBool(c, "follow")
	if err != nil {
		return err
	}
	if _, err := s.cfg.Builds.Get(c.Request.Context(), id); err != nil {
		return err // while it can be answered with a status
	}
	return streamSeq(s, c, "line", func(ctx context.Context) iter.Seq2[agent.BuildLine, error] {
		return s.cfg.Builds.Logs(ctx, id, follow)
	})
}

func (s *Server) postBuildCancel(c *gin.Context) error {
	id, err := buildID(c)
	if err != nil {
		return err
	}
	build, err := s.cfg.Builds.Cancel(c.Request.Context(), id, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, build)
}

func (s *Server) getBuildCache(c *gin.Context) error {
	cache, err := s.cfg.Builds.Cache(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, cache)
}

// deleteBuildCache removes what is old, or with all everything.
func (s *Server) deleteBuildCache(c *gin.Context) error {
	all, err := queryBool(c, "all")
	if err != nil {
		return err
	}
	done, err := s.cfg.Builds.PruneCache(c.Request.Context(), all, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, done)
}

func buildID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("build"), 10, 64)
	if err != nil || id < 1 {
		return 0, &agent.Error{
			Code: agent.CodeInvalid, Message: "a build is named by its number", Fix: "hks build list shows what there is",
			Details: map[string]any{"field": "build", "value": c.Param("build")},
		}
	}
	return id, nil
}
