package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

// App is a GitHub App that was made for this appliance.
type App struct {
	ID           int64
	Key          string // PEM; a secret
	Installation int64  // of it in an account; 0: only the App itself can be asked for
}

// appPermissions are what the App asks for.
var appPermissions = map[string]string{
	"metadata": "read", "contents": "read", "statuses": "write", "deployments": "write", "pull_requests": "read", "repository_hooks": "write",
}

// Manifest is what GitHub is given to make an App of, and where.
func Manifest(api, organization, name, home, redirect, state string) (action string, manifest []byte, err error) {
	base, err := apiURL(api)
	if err != nil {
		return "", nil, err
	}
	u := *base
	u.Path = strings.TrimSuffix(u.Path, "api/v3/")
	if base.String() == PublicURL {
		u.Host, u.Path = "github.com", "/"
	}
	if organization != "" {
		if !ownerGrammar.MatchString(organization) {
			return "", nil, agent.Errorf(agent.CodeInvalid, "give the name that is in its address", "%q is not an organization", organization)
		}
		u.Path += "organizations/" + organization + "/"
	}
	u.Path += "settings/apps/new"
	u.RawQuery = url.Values{"state": {state}}.Encode()
	manifest, err = json.Marshal(map[string]any{
		"name": name, "url": home, "redirect_url": redirect, "public": false, "default_permissions": appPermissions, "default_events": []string{},
		// Webhooks are made one a pipeline, each with a secret of its own.
		"hook_attributes": map[string]any{"url": home, "active": false},
	})
	if err != nil {
		return "", nil, fmt.Errorf("writing the App's manifest: %w", err)
	}
	return u.String(), manifest, nil
}

var (
	ownerGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}$`)
	codeGrammar  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
)

// ConvertManifest exchanges the code that the browser brings back for the App's key. It can
// be done once.
func ConvertManifest(ctx context.Context, api, code string) (App, agent.GitHubApp, error) {
	base, err := apiURL(api)
	if err != nil {
		return App{}, agent.GitHubApp{}, err
	}
	if !codeGrammar.MatchString(code) {
		return App{}, agent.GitHubApp{}, agent.Errorf(agent.CodeInvalid, "begin again: hks github app", "GitHub sent no code that can be one")
	}
	client := gh.NewClient(&http.Client{Timeout: callTimeout, CheckRedirect: stay(base)})
	client.BaseURL = base
	made, _, err := client.Apps.CompleteAppManifest(ctx, code)
	if err != nil {
		return App{}, agent.GitHubApp{}, explain(err, "", "")
	}
	return App{ID: made.GetID(), Key: made.GetPEM()}, agent.GitHubApp{ID: made.GetID(), Slug: clip(made.GetSlug()), InstallURL: installURL(made.GetHTMLURL())}, nil
}

func installURL(page string) string {
	if page = webURL(page); page == "" {
		return ""
	}
	return strings.TrimSuffix(page, "/") + "/installations/new"
}

// Installed asks GitHub, as the App itself, what it is called and where it is
// installed.
func Installed(ctx context.Context, api string, app App) (agent.GitHubApp, []agent.GitHubInstallation, error) {
	base, err := apiURL(api)
	if err != nil {
		return agent.GitHubApp{}, nil, err
	}
	transport, err := appTransport(base, app)
	if err != nil {
		return agent.GitHubApp{}, nil, err
	}
	client := gh.NewClient(&http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: stay(base)})
	client.BaseURL = base
	about, _, err := client.Apps.Get(ctx, "")
	if err != nil {
		return agent.GitHubApp{}, nil, explain(err, "", "")
	}
	list, _, err := client.Apps.ListInstallations(ctx, &gh.ListOptions{PerPage: 100})
	if err != nil {
		return agent.GitHubApp{}, nil, explain(err, "", "")
	}
	var all []agent.GitHubInstallation
	for _, one := range list {
		all = append(all, agent.GitHubInstallation{ID: one.GetID(), Account: clip(one.GetAccount().GetLogin())})
	}
	return agent.GitHubApp{ID: app.ID, Slug: clip(about.GetSlug()), InstallURL: installURL(about.GetHTMLURL())}, all, nil
}

func appTransport(base *url.URL, app App) (*ghinstallation.AppsTransport, error) {
	transport, err := ghinstallation.NewAppsTransport(http.DefaultTransport, app.ID, []byte(app.Key))
	if err != nil || app.ID <= 0 {
		return nil, agent.Errorf(agent.CodeInvalid, "give the number that GitHub shows as App ID, and the key that it made (a .pem file)", "that is not the key of a GitHub App")
	}
	transport.BaseURL = strings.TrimSuffix(base.String(), "/")
	return transport, nil
}

// newInstallation has tokens of an hour made, and made again.
func (c *Client) newInstallation() *ghinstallation.Transport {
	return ghinstallation.NewFromAppsTransport(c.installation, c.cfg.App.Installation)
}
