package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

func (s *Server) getImages(c *gin.Context) error {
	images, err := s.cfg.Images.List(c.Request.Context())
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, images)
}

func (s *Server) postImage(c *gin.Context) error {
	if kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || kind != "application/x-tar" {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: "the request's body is not announced as a tar archive",
			Fix: "send it with Content-Type: application/x-tar, or use: hks image load FILE.tar", Details: map[string]any{"field": "Content-Type"},
		}
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return tooMany(10, fmt.Sprintf("%d images are being loaded already", maxUploads))
	}
	body := &movingBody{body: c.Request.Body, control: http.NewResponseController(c.Writer)}
	images, err := s.cfg.Images.Load(c.Request.Context(), body)
	if body.failed != nil {
		return brokenUpload(body.failed) // whatever Load made of an archive that was cut short
	}
	if err != nil {
		return err
	}
	return answerList(c, http.StatusCreated, images)
}

func (s *Server) getImageUsage(c *gin.Context) error {
	usage, err := s.cfg.Images.Usage(c.Request.Context())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, usage)
}

func (s *Server) postImagePrune(c *gin.Context) error {
	dryRun, err := queryBool(c, "dryRun")
	if err != nil {
		return err
	}
	done, err := s.cfg.Images.Prune(c.Request.Context(), dryRun, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, done)
}

func (s *Server) deleteImage(c *gin.Context) error {
	name := strings.TrimPrefix(c.Param("name"), "/")
	if name == "" {
		return invalid("image", name, "an image is named as NAME:TAG")
	}
	done, err := s.cfg.Images.Delete(c.Request.Context(), name, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, done)
}

func brokenUpload(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &agent.Error{Code: agent.CodeInvalid, Message: "the upload broke off: " + err.Error(), Fix: "send it again", Cause: err}
}

// Deadlines of an upload. HTTP/2 ends a body whose deadline passes even when
// nobody reads just then, so that the time must be enough to put a layer away.
const (
	uploadStall = 5 * time.Minute
	uploadRenew = 5 * time.Second // how often the deadline is moved
)

// movingBody reads a large body as long as it moves. At its end the deadline
// is lifted, so that the work on it is not taken for a lost client.
type movingBody struct {
	body    io.Reader
	control *http.ResponseController
	renewed time.Time
	failed  error // what broke the reading, other than its end
}

func (b *movingBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.renewed) > uploadRenew {
		b.renewed = now
		if err := b.deadline(now.Add(uploadStall)); err != nil {
			return 0, b.fail(err)
		}
	}
	n, err := b.body.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF { //nolint:errorlint // io.Reader promises it bare
		if err := b.deadline(time.Time{}); err != nil {
			return n, b.fail(err)
		}
		return n, io.EOF
	}
	return n, b.fail(err)
}

func (b *movingBody) deadline(at time.Time) error {
	if err := b.control.SetReadDeadline(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting an upload's deadline: %w", err)
	}
	return nil
}

func (b *movingBody) fail(err error) error {
	b.failed = err
	return err
}
