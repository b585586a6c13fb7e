package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hks.dev/hks/agent"
)

// usageError is a mistake in the command line: exit code 2.
type usageError struct{ cause *agent.Error }

func (e usageError) Error() string { return e.cause.Error() }
func (e usageError) Unwrap() error { return e.cause }

func usagef(fix, format string, args ...any) error {
	return usageError{agent.Errorf(agent.CodeInvalid, fix, format, args...)}
}

// asUsage makes a usage error of what a closed grammar refused.
func asUsage(err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return usageError{e}
	}
	return err
}

// errSilent fails a command that has already said why.
var errSilent = errors.New("already reported")

// report shows err and returns the exit code.
func (s *session) report(ctx context.Context, err error) int {
	code := exitError
	if _, ok := errors.AsType[usageError](err); ok {
		code = exitUsage
	}
	if exit, ok := errors.AsType[remoteExit](err); ok {
		return int(exit) // the command has said why
	}
	if errors.Is(err, errSilent) {
		return code
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = agent.Errorf(agent.CodeInternal, "", "interrupted")
	}
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		e = agent.Errorf(agent.CodeInternal, "", "%w", err)
	}
	if s.json {
		s.reportJSON(e)
		return code
	}
	style := s.screen.errStyle
	fmt.Fprintf(s.screen.err, "%s %s\n", style.red("error:"), clean(e.Message))
	for line := range strings.SplitSeq(strings.TrimSpace(e.Fix), "\n") {
		if line != "" {
			fmt.Fprintf(s.screen.err, "%s %s\n", style.cyan("fix:"), clean(line))
		}
	}
	return code
}

// reportJSON writes the error in the API's own form.
func (s *session) reportJSON(e *agent.Error) {
	body := struct {
		Code    agent.Code     `json:"code"`
		Message string         `json:"message"`
		Fix     string         `json:"fix,omitempty"`
		Details map[string]any `json:"details,omitempty"`
	}{e.Code, e.Message, e.Fix, e.Details}
	_ = json.NewEncoder(s.screen.err).Encode(map[string]any{"error": body}) // nobody is left to tell
}
