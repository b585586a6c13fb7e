package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"hks.dev/hks/agent"
)

// Explain is the one place that turns an error of the Kubernetes API into one
// for people. It keeps an *agent.Error as it is and the caller's own
// cancellation recognisable; doing says what was tried ("making the quota").
func Explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*agent.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case away(err):
		return &agent.Error{
			Code:    agent.CodeClusterAway,
			Message: fmt.Sprintf("%s: the Kubernetes API does not answer (%s)", doing, rootWords(err)),
			Fix:     "wait a moment and try again; the engine is restarted by itself, and the System line of the dashboard says how it is",
			Cause:   err,
		}
	case apierrors.IsForbidden(err):
		return explainForbidden(doing, err)
	case apierrors.IsNotFound(err):
		return agent.Errorf(agent.CodeNotFound, "", "%s: %w", doing, err)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return agent.Errorf(agent.CodeConflict, "look at the object as it is now and try again", "%s: %w", doing, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return agent.Errorf(agent.CodeInvalid, "correct the value named", "%s: %w", doing, err)
	case apierrors.IsUnauthorized(err):
		return agent.Errorf(agent.CodeClusterAway, "restart the agent: it makes its credential anew",
			"%s: the cluster does not accept the agent's credential (%w)", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// away tells whether the API server could not be reached or could not serve.
func away(err error) bool {
	switch {
	case errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, http.ErrServerClosed),
		apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err),
		apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err):
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[*url.Error](err)
	return ok
}

// rootWords is the innermost error's text: "connection refused" rather than
// the whole URL before it.
func rootWords(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// explainForbidden tells the refusals apart that all come as 403: a quota, a
// policy of admission, a namespace that is going, and rights missing or not
// known yet.
func explainForbidden(doing string, err error) error {
	text := err.Error()
	if refusal, ok := ParseQuota(text); ok {
		return refusal.Error(doing, err)
	}
	switch {
	case strings.Contains(text, "violates PodSecurity"):
		_, why, _ := strings.Cut(text, "violates PodSecurity ")
		return &agent.Error{
			Code:    agent.CodeForbidden,
			Message: fmt.Sprintf("%s: the workspace's Pod Security level refuses it: %s", doing, why),
			Fix:     "take the setting named out of the pod",
			Cause:   err,
		}
	case strings.Contains(text, "being terminated"):
		return agent.Errorf(agent.CodeConflict, "wait until it is gone and try again", "%s: the namespace is being removed (%w)", doing, err)
	case strings.Contains(text, "usage per Container is"), strings.Contains(text, "usage per Pod is"):
		return agent.Errorf(agent.CodeQuota, "ask for a value inside the limits", "%s: the workspace's limits refuse it: %w", doing, err)
	case !strings.Contains(text, "cannot"):
		return agent.Errorf(agent.CodeForbidden, "take out what is refused", "%s: %w", doing, err)
	}
	// An API server that has just started refuses what it has not read the
	// rights for yet, in the same words as what nobody may do.
	return agent.Errorf(agent.CodeClusterAway, "wait a moment, as it may be starting and is asked again; if this lasts, restart the agent: it sets its rights in the cluster anew",
		"%s: the cluster does not know the agent's rights (%w)", doing, err)
}
