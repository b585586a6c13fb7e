package helm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/client-go/rest"
)

// Config is what a Client needs.
type Config struct {
	REST    func() (*rest.Config, error) // settings of the connection, read for each action
	Timeout time.Duration                // of one install or upgrade; default 5 min
	Log     *slog.Logger
}

// Client runs Helm's actions. It is safe for concurrent use; two actions on
// one release are the caller's to keep apart.
type Client struct {
	cfg       Config
	configure func(namespace string) (*action.Configuration, error) // connects for one action
}

// historyKept is how many revisions of a release are kept.
const historyKept = 10

// New checks the settings; nothing is dialled.
func New(cfg Config) (*Client, error) {
	if cfg.REST == nil {
		return nil, errors.New("helm: REST is needed")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg}
	c.configure = c.configuration
	return c, nil
}

// Release names what is installed where, of which chart and with which values.
type Release struct {
	Namespace, Name string
	Chart           *Chart
	Values          map[string]any
}

// Revision is one version of a release.
type Revision struct {
	Number      int
	Status      string // Helm's word, such as deployed, failed, superseded
	Chart       string // NAME-VERSION
	Description string
	At          time.Time
	Values      map[string]any // as they were given
}

func (c *Client) configuration(namespace string) (*action.Configuration, error) {
	cfg := new(action.Configuration)
	getter := &getter{namespace: namespace, rest: c.cfg.REST}
	debug := func(format string, args ...any) { c.cfg.Log.Debug("helm: " + fmt.Sprintf(format, args...)) }
	if err := cfg.Init(getter, namespace, "secret", debug); err != nil {
		return nil, fmt.Errorf("preparing helm: %w", err)
	}
	cfg.Releases.MaxHistory = historyKept
	return cfg, nil
}

// Install makes the release and waits until all of it is ready. One that does
// not get ready is taken away again.
func (c *Client) Install(ctx context.Context, r Release) error {
	cfg, err := c.configure(r.Namespace)
	if err != nil {
		return err
	}
	install := action.NewInstall(cfg)
	install.Namespace, install.ReleaseName = r.Namespace, r.Name
	install.Atomic, install.Wait, install.Timeout = true, true, c.cfg.Timeout
	_, err = install.RunWithContext(ctx, r.Chart.loaded, r.Values)
	return explain("installing "+r.Name, err)
}

// Upgrade brings the release to another version of its chart or to other
// values, and waits until all of it is ready. One that does not get ready is
// rolled back.
func (c *Client) Upgrade(ctx context.Context, r Release) error {
	cfg, err := c.configure(r.Namespace)
	if err != nil {
		return err
	}
	upgrade := c.upgrade(cfg, r)
	upgrade.Atomic, upgrade.Wait, upgrade.Timeout = true, true, c.cfg.Timeout
	_, err = upgrade.RunWithContext(ctx, r.Name, r.Chart.loaded, r.Values)
	return explain("upgrading "+r.Name, err)
}

func (c *Client) upgrade(cfg *action.Configuration, r Release) *action.Upgrade {
	upgrade := action.NewUpgrade(cfg)
	upgrade.Namespace, upgrade.ResetValues, upgrade.MaxHistory = r.Namespace, true, historyKept
	return upgrade
}

// Uninstall removes what the release made, but for what its chart keeps; a
// release that is not there is fine.
func (c *Client) Uninstall(ctx context.Context, namespace, name string) error {
	cfg, err := c.configure(namespace)
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(cfg)
	uninstall.Wait, uninstall.IgnoreNotFound, uninstall.DeletionPropagation = true, true, "foreground"
	uninstall.Timeout = within(ctx, c.cfg.Timeout)
	_, err = uninstall.Run(name)
	return explain("removing "+name, err)
}

// Test runs the chart's own tests.
func (c *Client) Test(ctx context.Context, namespace, name string) error {
	cfg, err := c.configure(namespace)
	if err != nil {
		return err
	}
	test := action.NewReleaseTesting(cfg)
	test.Namespace, test.Timeout = namespace, within(ctx, time.Minute)
	_, err = test.Run(name)
	return explain("testing "+name, err)
}

// History lists the revisions of a release, the newest first; none when it is
// not there.
func (c *Client) History(ctx context.Context, namespace, name string) ([]Revision, error) {
	cfg, err := c.configure(namespace)
	if err != nil {
		return nil, err
	}
	releases, err := cfg.Releases.History(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("looking at "+name, errors.Join(err, ctx.Err()))
	}
	revisions := make([]Revision, 0, len(releases))
	for _, r := range releases {
		revisions = append(revisions, revisionOf(r))
	}
	for i := range revisions { // few, and nearly sorted
		for j := i; j > 0 && revisions[j].Number > revisions[j-1].Number; j-- {
			revisions[j], revisions[j-1] = revisions[j-1], revisions[j]
		}
	}
	return revisions, nil
}

func revisionOf(r *release.Release) Revision {
	rev := Revision{Number: r.Version, Values: r.Config, Chart: chartName(r.Chart)}
	if r.Info != nil {
		rev.Status, rev.Description, rev.At = r.Info.Status.String(), r.Info.Description, r.Info.LastDeployed.Time
	}
	return rev
}

func chartName(ch *chart.Chart) string {
	if ch == nil || ch.Metadata == nil {
		return ""
	}
	return ch.Metadata.Name + "-" + ch.Metadata.Version
}

// within is the time until ctx's deadline, at most limit.
func within(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), limit), time.Second)
	}
	return limit
}
