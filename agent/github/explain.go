package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

// explain says what GitHub refused, and names the permission that was needed.
func explain(err error, repository, permission string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if limit, ok := errors.AsType[*gh.RateLimitError](err); ok {
		return agent.Errorf(agent.CodeTooMany, "it goes on by itself at "+limit.Rate.Reset.UTC().Format("15:04 MST"), "GitHub's limit of requests is used up: %w", err)
	}
	refused, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok || refused.Response == nil {
		return agent.Errorf(agent.CodeGitHub, "see whether the appliance has a way to GitHub, then try again", "GitHub does not answer: %w", bare(err))
	}
	needs := ""
	if permission != "" {
		needs = fmt.Sprintf("give the token the permission %q", permission)
		if repository != "" {
			needs += " for " + repository
		}
		needs += ", then: hks github connect"
	}
	switch refused.Response.StatusCode {
	case http.StatusUnauthorized:
		return agent.Errorf(agent.CodeGitHub, "make a new one and connect again: hks github connect", "GitHub does not accept the token (%s)", clip(refused.Message))
	case http.StatusForbidden:
		return agent.Errorf(agent.CodeGitHub, needs, "GitHub refused: the token lacks the permission %q (%s)", permission, clip(refused.Message))
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		if repository != "" {
			return agent.Errorf(agent.CodeGitHub, "correct the name, or "+needs, "GitHub shows no such thing in %s to this token (%s)", repository, clip(refused.Message))
		}
	}
	return agent.Errorf(agent.CodeGitHub, "try again", "GitHub answered with %d (%s)", refused.Response.StatusCode, clip(refused.Message))
}

// bare is the innermost error: the outer ones repeat the address.
func bare(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
