package helm

import (
	"context"
	"errors"
	"io"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	kubefake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
	"k8s.io/client-go/rest"
)

// TestA96CutOffReleasesAreTakenBack leaves releases as an agent that was
// killed leaves them.
func TestA96CutOffReleasesAreTakenBack(t *testing.T) {
	for name, tt := range map[string]struct {
		history []release.Status // oldest first
		want    Recovery
		last    release.Status // of the newest revision afterwards; empty: there is none
	}{
		"nothing there":          {nil, RecoveredAbsent, ""},
		"whole":                  {[]release.Status{release.StatusDeployed}, RecoveredNothing, release.StatusDeployed},
		"an install":             {[]release.Status{release.StatusPendingInstall}, RecoveredRemoved, ""},
		"an install that failed": {[]release.Status{release.StatusFailed}, RecoveredRemoved, ""},
		"an upgrade":             {[]release.Status{release.StatusDeployed, release.StatusPendingUpgrade}, RecoveredRollback, release.StatusDeployed},
		"a rollback":             {[]release.Status{release.StatusSuperseded, release.StatusDeployed, release.StatusPendingRollback}, RecoveredRollback, release.StatusDeployed},
		"a removal":              {[]release.Status{release.StatusUninstalling}, RecoveredRemoved, ""},
		"an upgrade that failed": {[]release.Status{release.StatusDeployed, release.StatusFailed}, RecoveredNothing, release.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			store := storage.Init(driver.NewMemory())
			for i, status := range tt.history {
				r := &release.Release{
					Name: "db", Namespace: "default", Version: i + 1, Manifest: "", Chart: &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "mine", Version: "1.0.0"}},
					Info: &release.Info{Status: status, FirstDeployed: helmtime.Now(), LastDeployed: helmtime.Now()},
				}
				if err := store.Create(r); err != nil {
					t.Fatal(err)
				}
			}
			c, err := New(Config{REST: func() (*rest.Config, error) { return nil, errors.New("not dialled") }})
			if err != nil {
				t.Fatal(err)
			}
			c.configure = func(string) (*action.Configuration, error) {
				return &action.Configuration{
					Releases: store, KubeClient: &kubefake.PrintingKubeClient{Out: io.Discard}, Capabilities: chartutil.DefaultCapabilities, Log: func(string, ...any) {},
				}, nil
			}
			got, err := c.Recover(context.Background(), "default", "db")
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			history, err := c.History(t.Context(), "default", "db")
			if err != nil {
				t.Fatal(err)
			}
			if last := ""; len(history) > 0 || tt.last != "" {
				if len(history) > 0 {
					last = history[0].Status
				}
				if last != string(tt.last) {
					t.Errorf("the newest revision is %q, want %q", last, tt.last)
				}
			}
		})
	}
}
