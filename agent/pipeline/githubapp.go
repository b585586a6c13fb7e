package pipeline

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	setupTimeout = time.Hour // as long as GitHub keeps the code
	mostSetups   = 20
)

// setup is an App that is being made through the browser. After the agent's
// end it is begun again.
type setup struct {
	start   agent.GitHubAppStart
	form    agent.GitHubAppForm
	by      string
	expires time.Time
}

// StartApp begins to make a GitHub App: the browser posts the form to GitHub,
// and GitHub sends it back with a code and the same state.
func (m *Manager) StartApp(_ context.Context, start agent.GitHubAppStart, by string) (agent.GitHubAppForm, error) {
	if m.cfg.GitHubApps == nil {
		return agent.GitHubAppForm{}, agent.Errorf(agent.CodeInvalid, "connect by a token: hks github connect", "this appliance can't make a GitHub App")
	}
	for field, address := range map[string]string{"address of this appliance": start.Origin, "address for webhooks": start.HookURL} {
		u, err := url.Parse(address)
		if address == "" && field == "address for webhooks" {
			continue
		}
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
			return agent.GitHubAppForm{}, agent.Errorf(agent.CodeInvalid, "give it as https://HOST:8443", "%q is not the %s", address, field)
		}
	}
	state := rand.Text()
	origin := strings.TrimSuffix(start.Origin, "/")
	action, manifest, err := m.cfg.GitHubApps.Manifest(start.URL, start.Organization, "hks-"+strings.ToLower(rand.Text()[:8]), origin, origin+"/api/github/app/callback", state)
	if err != nil {
		return agent.GitHubAppForm{}, err
	}
	expires := m.cfg.Now().UTC().Add(setupTimeout)
	form := agent.GitHubAppForm{Action: action, Manifest: string(manifest), Page: origin + "/api/github/app/new?state=" + state, Expires: expires}
	m.mu.Lock()
	defer m.mu.Unlock()
	for old, one := range m.setups {
		if m.cfg.Now().After(one.expires) || len(m.setups) >= mostSetups {
			delete(m.setups, old)
		}
	}
	m.setups[state] = setup{start: start, form: form, by: by, expires: expires}
	return form, nil
}

// AppForm is the form of a state that was begun.
func (m *Manager) AppForm(_ context.Context, state string) (agent.GitHubAppForm, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one, ok := m.setups[state]
	if !ok || m.cfg.Now().After(one.expires) {
		return agent.GitHubAppForm{}, unknownState()
	}
	return one.form, nil
}

func unknownState() error {
	return agent.Errorf(agent.CodeForbidden, "begin again: hks github app", "nobody here began to make that GitHub App, or it was long ago")
}

// FinishApp takes the code that GitHub sent the browser back with. A state is
// good once, and only one that was begun here: whoever leads the owner's
// browser to this address with a code of their own connects nothing.
func (m *Manager) FinishApp(ctx context.Context, state, code string) (agent.GitHub, error) {
	m.mu.Lock()
	one, ok := m.setups[state]
	delete(m.setups, state)
	m.mu.Unlock()
	if !ok || m.cfg.Now().After(one.expires) {
		return agent.GitHub{}, unknownState()
	}
	app, key, err := m.cfg.GitHubApps.Convert(ctx, one.start.URL, code)
	if err != nil {
		return agent.GitHub{}, err
	}
	g := agent.GitHub{URL: one.start.URL, HookURL: strings.TrimSuffix(one.start.HookURL, "/"), App: &app, CheckedAt: m.cfg.Now().UTC()}
	if err := m.cfg.Store.PutGitHub(ctx, g, key); err != nil {
		return agent.GitHub{}, err
	}
	m.mu.Lock()
	m.host = nil
	m.mu.Unlock()
	m.cfg.Activity(ctx, agent.Activity{Level: "info", Subject: "github", Message: "the GitHub App " + app.Slug + " was made", By: one.by})
	return g, nil
}

// connectApp connects by the number and the key of an App that there is.
func (m *Manager) connectApp(ctx context.Context, g agent.GitHub, request agent.GitHubConnect, by string) (agent.GitHub, error) {
	if m.cfg.GitHubApps == nil || request.Token != "" {
		return agent.GitHub{}, agent.Errorf(agent.CodeInvalid, "give one of the two", "GitHub is connected by a token or by an App, not by both")
	}
	return m.install(ctx, g, request.AppID, request.AppKey, request.Account, by)
}

// CheckApp looks whether the App was installed meanwhile, and connects by it.
func (m *Manager) CheckApp(ctx context.Context, account, by string) (agent.GitHub, error) {
	g, key, err := m.cfg.Store.GitHub(ctx)
	if err != nil {
		return agent.GitHub{}, err
	}
	if g.App == nil || m.cfg.GitHubApps == nil {
		return agent.GitHub{}, agent.Errorf(agent.CodeConflict, "make one: hks github app", "there is no GitHub App")
	}
	return m.install(ctx, g, g.App.ID, key, account, by)
}

// install finds the account that the App is installed in.
func (m *Manager) install(ctx context.Context, g agent.GitHub, id int64, key, account, by string) (agent.GitHub, error) {
	app, all, err := m.cfg.GitHubApps.Installed(ctx, g.URL, id, key)
	if err != nil {
		return agent.GitHub{}, err
	}
	var names []string
	var found *agent.GitHubInstallation
	for i := range all {
		names = append(names, all[i].Account)
		if strings.EqualFold(all[i].Account, account) || account == "" && len(all) == 1 {
			found = &all[i]
		}
	}
	g.App = &app
	switch {
	case found != nil:
		app.Installation, app.Account = found.ID, found.Account
		return m.connect(ctx, g, key, by)
	case len(all) > 0:
		return agent.GitHub{}, agent.Errorf(agent.CodeInvalid, "name one: --account "+names[0], "the App %s is installed in %s", app.Slug, strings.Join(names, ", "))
	}
	g.Connected, g.CheckedAt = false, m.cfg.Now().UTC()
	if err := m.cfg.Store.PutGitHub(ctx, g, key); err != nil {
		return agent.GitHub{}, err
	}
	return agent.GitHub{}, agent.Errorf(agent.CodeConflict, fmt.Sprintf("install it: %s, then: hks github app check", app.InstallURL), "the App %s is installed in no account yet", app.Slug)
}
