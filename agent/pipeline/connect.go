package pipeline

import (
	"context"
	"net/url"
	"strings"

	"hks.dev/hks/agent"
)

// Connect checks a token and keeps it in place of an earlier one.
func (m *Manager) Connect(ctx context.Context, request agent.GitHubConnect, by string) (agent.GitHub, error) {
	if request.HookURL != "" {
		if u, err := url.Parse(request.HookURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return agent.GitHub{}, agent.Errorf(agent.CodeInvalid, "give it as https://HOST:8443", "%q is not an address that GitHub can send webhooks to", request.HookURL)
		}
	}
	g := agent.GitHub{URL: request.URL, HookURL: strings.TrimSuffix(request.HookURL, "/")}
	if request.AppID != 0 || request.AppKey != "" {
		return m.connectApp(ctx, g, request, by)
	}
	return m.connect(ctx, g, request.Token, by)
}

// connect sees whether GitHub knows a secret, and keeps it.
func (m *Manager) connect(ctx context.Context, g agent.GitHub, secret, by string) (agent.GitHub, error) {
	host, err := m.cfg.Dial(g, secret)
	if err != nil {
		return agent.GitHub{}, err
	}
	login, err := host.Login(ctx)
	if err != nil {
		return agent.GitHub{}, err
	}
	g.Connected, g.URL, g.Login, g.CheckedAt = true, host.URL(), login, m.cfg.Now().UTC()
	if err := m.cfg.Store.PutGitHub(ctx, g, secret); err != nil {
		return agent.GitHub{}, err
	}
	m.mu.Lock()
	m.host = host
	m.mu.Unlock()
	m.cfg.Activity(ctx, agent.Activity{Level: "info", Subject: "github", Message: "connected as " + login, By: by})
	return g, nil
}

// Connection tells whether GitHub is connected.
func (m *Manager) Connection(ctx context.Context) (agent.GitHub, error) {
	g, _, err := m.cfg.Store.GitHub(ctx)
	return g, err
}

// Disconnect forgets the token. Pipelines stay, and wait.
func (m *Manager) Disconnect(ctx context.Context, by string) error {
	if err := m.cfg.Store.RemoveGitHub(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	m.host = nil
	m.mu.Unlock()
	m.cfg.Activity(ctx, agent.Activity{Level: "info", Subject: "github", Message: "disconnected", By: by})
	return nil
}

// Repositories lists what the connection can see.
func (m *Manager) Repositories(ctx context.Context) ([]agent.GitRepository, error) {
	host, err := m.connected(ctx)
	if err != nil {
		return nil, err
	}
	return host.Repositories(ctx)
}

func (m *Manager) connected(ctx context.Context) (Host, error) {
	m.mu.Lock()
	host := m.host
	m.mu.Unlock()
	if host != nil {
		return host, nil
	}
	g, token, err := m.cfg.Store.GitHub(ctx)
	if err != nil {
		return nil, err
	}
	if !g.Connected {
		return nil, agent.Errorf(agent.CodeConflict, "connect it: hks github connect", "GitHub is not connected")
	}
	if host, err = m.cfg.Dial(g, token); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.host == nil {
		m.host = host
	}
	return m.host, nil
}

// hostOf is where a pipeline's repository is.
func (m *Manager) hostOf(ctx context.Context, p agent.Pipeline) (Host, error) {
	if p.Remote == "" {
		return m.connected(ctx)
	}
	if m.cfg.Remotes == nil {
		return nil, agent.Errorf(agent.CodeInvalid, "", "this appliance reads no plain git repositories")
	}
	secret, err := m.cfg.Store.GitSecret(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	return m.cfg.Remotes.Open(p, secret)
}

// hostOfRun is where a run's commit is; also when its pipeline is gone.
func (m *Manager) hostOfRun(ctx context.Context, r *agent.Run) (Host, error) {
	p, err := m.Get(ctx, r.Pipeline)
	if err != nil && agent.CodeOf(err) != agent.CodeNotFound {
		return nil, err
	}
	return m.hostOf(ctx, p)
}
