package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"syscall"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// statuses holds the HTTP status of every error code.
var statuses = map[agent.Code]int{
	agent.CodeInvalid:          http.StatusBadRequest,
	agent.CodeUnauthorized:     http.StatusUnauthorized,
	agent.CodeForbidden:        http.StatusForbidden,
	agent.CodeNotFound:         http.StatusNotFound,
	agent.CodeConflict:         http.StatusConflict,
	agent.CodeTooMany:          http.StatusTooManyRequests,
	agent.CodeTooLarge:         http.StatusRequestEntityTooLarge,
	agent.CodeSetupRequired:    http.StatusConflict,
	agent.CodeSetupLink:        http.StatusGone,
	agent.CodePlanLimit:        http.StatusForbidden,
	agent.CodeQuotaStorage:     http.StatusUnprocessableEntity,
	agent.CodeQuota:            http.StatusUnprocessableEntity,
	agent.CodeImagePull:        http.StatusUnprocessableEntity,
	agent.CodeInvalidImage:     http.StatusUnprocessableEntity,
	agent.CodeRollout:          http.StatusUnprocessableEntity,
	agent.CodeWorkspaceMissing: http.StatusConflict,
	agent.CodeClusterAway:      http.StatusServiceUnavailable,
	agent.CodeBuildFailed:      http.StatusUnprocessableEntity,
	agent.CodeBuilderAway:      http.StatusServiceUnavailable,
	agent.CodeGitHub:           http.StatusBadGateway,
	agent.CodeFunctionFailed:   http.StatusUnprocessableEntity,
	agent.CodeVariableMissing:  http.StatusUnprocessableEntity,
	agent.CodeNoSpace:          http.StatusInsufficientStorage,
	agent.CodeInvalidSchedule:  http.StatusUnprocessableEntity,
	agent.CodeChannel:          http.StatusBadGateway,
	agent.CodeInternal:         http.StatusInternalServerError,
}

// statusClosed stands in the log for a client that went away.
const statusClosed = 499

// statusError is an error whose HTTP status is not that of its code.
type statusError struct {
	shown  *agent.Error
	status int
}

// Error returns the message.
func (e *statusError) Error() string { return e.shown.Error() }

// Unwrap returns the error with its code.
func (e *statusError) Unwrap() error { return e.shown }

// problem is the JSON form of an error.
type problem struct {
	Code    agent.Code     `json:"code"`
	Message string         `json:"message"`
	Fix     string         `json:"fix,omitempty"`
	Details map[string]any `json:"details,omitempty"`
}

// errorBody is the answer of a request that failed.
type errorBody struct {
	Error problem `json:"error"`
}

// answerErrors is the one place where an error becomes an answer.
func (s *Server) answerErrors(c *gin.Context) {
	c.Next()
	last := c.Errors.Last()
	if last == nil {
		return
	}
	if c.Request.Context().Err() != nil && errors.Is(last.Err, context.Canceled) {
		c.Status(statusClosed)
		return
	}
	status, body := s.explain(c, last.Err)
	if c.Writer.Written() {
		return // a stream tells its failure by itself
	}
	if seconds, ok := body.Error.Details["retryAfter"].(int); ok {
		c.Header("Retry-After", strconv.Itoa(seconds))
	}
	if err := answer(c, status, body); err != nil {
		s.cfg.Log.WarnContext(c.Request.Context(), "an error could not be answered", "error", err)
	}
}

// explain turns any error into a status and an answer. What is not an
// agent.Error goes to the log under an id, and only the id is answered.
func (s *Server) explain(c *gin.Context, err error) (int, errorBody) {
	shown := known(err)
	if shown == nil {
		id := rand.Text()[:10]
		s.cfg.Log.ErrorContext(c.Request.Context(), "internal error", "id", id, "route", routeOf(c), "error", err)
		shown = &agent.Error{
			Code:    agent.CodeInternal,
			Message: "something went wrong inside hks; the log has it under " + id,
			Fix:     fmt.Sprintf("look for %s in the log of hks-agent, and report it", id),
			Details: map[string]any{"id": id},
		}
	}
	status, ok := statuses[shown.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	if special, ok := errors.AsType[*statusError](err); ok {
		status = special.status
	}
	return status, errorBody{problem{Code: shown.Code, Message: shown.Message, Fix: shown.Fix, Details: shown.Details}}
}

// known finds the error to show in err's chain, nil when there is none.
func known(err error) *agent.Error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &agent.Error{
			Code:    agent.CodeTooLarge,
			Message: fmt.Sprintf("the request's body is over the limit of %d bytes", tooLarge.Limit),
			Fix:     "send less",
			Details: map[string]any{"limit": tooLarge.Limit},
		}
	}
	if shown, ok := errors.AsType[*agent.Error](err); ok {
		return shown
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &agent.Error{
			Code: agent.CodeNoSpace, Message: "the appliance's disk is full",
			Fix: "make room on the machine (see with: df -h) and try again", Cause: err,
		}
	}
	return nil
}

// tooMany is the answer to who must wait; the error middleware makes a
// Retry-After header of it.
func tooMany(seconds int, message string) *agent.Error {
	return &agent.Error{
		Code: agent.CodeTooMany, Message: message,
		Fix: fmt.Sprintf("wait %d seconds and try again", seconds), Details: map[string]any{"retryAfter": seconds},
	}
}
