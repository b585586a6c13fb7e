package helm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/storage/driver"

	"hks.dev/hks/agent"
)

// explain turns Helm's errors into ones for people, where they say something
// about what was asked.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*agent.Error](err); ok {
		return err
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, driver.ErrReleaseNotFound):
		return agent.Errorf(agent.CodeNotFound, "hks market list shows what there is", "%s: there is no such release", doing)
	case strings.Contains(text, "exceeded quota"):
		return agent.Errorf(agent.CodeQuota, "ask for less, or make room: hks workspace show shows the quota", "%s: the workspace's quota does not allow it: %w", doing, err)
	case strings.Contains(text, "only dynamically provisioned pvc can be resized"), strings.Contains(text, "persistentvolumeclaims") && strings.Contains(text, "is forbidden"):
		return agent.Errorf(agent.CodeConflict, "back it up, and restore the backup into a new instance with a larger volume", "%s: volumes of this machine's storage class do not grow", doing)
	case strings.Contains(text, "is forbidden"):
		return agent.Errorf(agent.CodeForbidden, "take out what is refused: charts make objects of the workspace only", "%s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timed out"), strings.Contains(text, "context deadline exceeded"), strings.Contains(text, "would exceed context deadline"):
		return agent.Errorf(agent.CodeRollout, "its instance page and hks workspace show say what it waits for", "%s: it did not get ready in time: %w", doing, err)
	case strings.Contains(text, "connection refused"):
		return agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "%s: the Kubernetes API does not answer: %w", doing, err)
	}
	return agent.Errorf(agent.CodeInvalid, "correct what is named and try again", "%s: %w", doing, err)
}
