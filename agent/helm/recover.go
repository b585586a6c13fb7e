package helm

import (
	"context"
	"errors"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// Recovery is what Recover found and did.
type Recovery string

// What Recover did.
const (
	RecoveredNothing  Recovery = ""            // the release was whole
	RecoveredAbsent   Recovery = "absent"      // there is no release
	RecoveredRemoved  Recovery = "removed"     // an install that was cut off was taken away
	RecoveredRollback Recovery = "rolled back" // an upgrade that was cut off was taken back
)

// Recover brings a release whose action was cut off, by the agent's end for
// one, back to where another action can begin: Helm refuses all others while
// one seems to be under way.
func (c *Client) Recover(ctx context.Context, namespace, name string) (Recovery, error) {
	cfg, err := c.configure(namespace)
	if err != nil {
		return RecoveredNothing, err
	}
	last, err := cfg.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return RecoveredAbsent, nil
	}
	if err != nil {
		return RecoveredNothing, explain("looking at "+name, err)
	}
	switch last.Info.Status {
	case release.StatusPendingInstall, release.StatusUninstalling:
		return RecoveredRemoved, c.Uninstall(ctx, namespace, name)
	case release.StatusFailed:
		if last.Version == 1 {
			return RecoveredRemoved, c.Uninstall(ctx, namespace, name)
		}
	case release.StatusPendingUpgrade, release.StatusPendingRollback:
		rollback := action.NewRollback(cfg)
		rollback.Wait, rollback.Timeout, rollback.MaxHistory = true, within(ctx, c.cfg.Timeout), historyKept
		deployed, err := cfg.Releases.Deployed(name)
		if err != nil {
			return RecoveredNothing, explain("looking for the last good revision of "+name, err)
		}
		rollback.Version = deployed.Version
		return RecoveredRollback, explain("rolling back "+name, rollback.Run(name))
	}
	return RecoveredNothing, nil
}
