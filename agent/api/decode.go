package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// decode reads the request's body as strict JSON into v: one value, no
// unknown field, nothing after it.
func decode(c *gin.Context, v any) error {
	if kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || kind != "application/json" {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: "the request's body is not announced as JSON",
			Fix: "send it with Content-Type: application/json", Details: map[string]any{"field": "Content-Type"},
		}
	}
	dec := json.NewDecoder(c.Request.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return badJSON(errors.New("there is more after the value"))
	}
	return nil
}

func badJSON(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err // explained where errors are answered
	}
	details := map[string]any{}
	message := strings.TrimPrefix(err.Error(), "json: ")
	switch {
	case errors.Is(err, io.EOF):
		message = "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		message = "it ends too early"
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := mismatch.Field[strings.LastIndex(mismatch.Field, ".")+1:] // embedded structs show by their Go names
		details["field"] = field
		message = fmt.Sprintf("%q must be a %s, not a %s", field, mismatch.Type, mismatch.Value)
	}
	if field, ok := strings.CutPrefix(message, "unknown field "); ok {
		details["field"] = strings.Trim(field, `"`)
	}
	return &agent.Error{
		Code: agent.CodeInvalid, Message: "the request's body can't be read: " + message,
		Fix: "correct the body; the fields are those of the API's description", Details: details, Cause: err,
	}
}

// target is the app and environment that a path names.
func target(c *gin.Context) (string, agent.Environment, error) {
	app := c.Param("app")
	if err := agent.ValidateName("app", app); err != nil {
		return "", "", err
	}
	env, err := agent.ParseEnvironment(c.Param("env"))
	return app, env, err
}

// releaseNumber is the release that a path names.
func releaseNumber(c *gin.Context) (int, error) {
	number, err := strconv.Atoi(c.Param("number"))
	if err != nil || number < 1 {
		return 0, invalid("release", c.Param("number"), "a release is a number from 1")
	}
	return number, nil
}

// queryInt reads a whole number of the query, fallback when it is absent.
func queryInt(c *gin.Context, name string, fallback, lowest, highest int) (int, error) {
	text, given := c.GetQuery(name)
	if !given || text == "" {
		return fallback, nil
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < lowest || value > highest {
		return 0, invalid(name, text, fmt.Sprintf("%s is a whole number from %d to %d", name, lowest, highest))
	}
	return value, nil
}

// queryDuration reads a duration such as 10m of the query, fallback when it is absent.
func queryDuration(c *gin.Context, name string, fallback, highest time.Duration) (time.Duration, error) {
	text, given := c.GetQuery(name)
	if !given || text == "" {
		return fallback, nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 || value > highest {
		return 0, invalid(name, text, fmt.Sprintf("%s is a duration such as 90s, 10m or 1h, up to %s", name, highest))
	}
	return value, nil
}

// queryBool reads a switch of the query; bare presence means yes.
func queryBool(c *gin.Context, name string) (bool, error) {
	text, given := c.GetQuery(name)
	if !given {
		return false, nil
	}
	if text == "" {
		return true, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid(name, text, name+" is true or false")
	}
	return value, nil
}

func invalid(field, value, rule string) *agent.Error {
	return &agent.Error{
		Code: agent.CodeInvalid, Message: fmt.Sprintf("%q is not valid: %s", value, rule),
		Details: map[string]any{"field": field, "value": value},
	}
}
