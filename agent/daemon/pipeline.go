package daemon

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/git"
	"hks.dev/hks/agent/github"
	"hks.dev/hks/agent/pipeline"
)

// buildPipelines makes what turns pushes into releases.
func (p *parts) buildPipelines(cfg Config, hub *api.Hub, journal *api.Journal) (err error) {
	dir := cfg.Settings.Paths().State("checkouts")
	p.pipelines, err = pipeline.New(pipeline.Config{
		Store: p.store, Builds: p.builds, Apps: p.apps, Dir: dir,
		Dial: dialGitHub, GitHubApps: gitHubApps{}, Remotes: gitRemotes{dir},
		Notice: p.notice(cfg),
		Ended: func(ctx context.Context, r agent.Run, before *agent.Run) {
			p.runEnded(ctx, r, before)
			p.emit(ctx, cfg.Log, agent.FunctionEvent{
				ID: fmt.Sprintf("run-%d-%s", r.ID, r.Status), Type: agent.EventPipeline + string(r.Status), Source: "/hks/pipelines/" + r.Pipeline, Subject: r.Commit.SHA,
			}, r)
		},
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	return err
}

// notice puts news that are no incident into the queue of reports.
func (p *parts) notice(cfg Config) func(ctx context.Context, text string) {
	return func(ctx context.Context, text string) {
		if err := p.store.AddReport(ctx, agent.Report{Kind: agent.ReportNotice, Text: text}); err != nil {
			cfg.Log.ErrorContext(ctx, "news can't be told", "text", text, "err", err)
			return
		}
		p.reporter.Nudge()
	}
}

// gitHubHost is GitHub, with git to check commits out.
type gitHubHost struct{ *github.Client }

func dialGitHub(g agent.GitHub, secret string) (pipeline.Host, error) {
	c := github.Config{URL: g.URL, Token: secret}
	if g.App != nil {
		c = github.Config{URL: g.URL, App: github.App{ID: g.App.ID, Key: secret, Installation: g.App.Installation}}
	}
	client, err := github.New(c)
	if err != nil {
		return nil, err
	}
	return gitHubHost{client}, nil
}

// Clone puts one commit of a repository into a folder that it makes.
func (h gitHubHost) Clone(ctx context.Context, repository, sha, folder string) error {
	address, basic, err := h.CloneFrom(ctx, repository)
	if err != nil {
		return err
	}
	return git.Checkout(ctx, git.Remote{URL: address, Basic: basic}, sha, folder)
}

// gitHubApps asks GitHub about Apps.
type gitHubApps struct{}

// Manifest is what GitHub is given to make an App of.
func (gitHubApps) Manifest(api, organization, name, home, redirect, state string) (string, []byte, error) {
	return github.Manifest(api, organization, name, home, redirect, state)
}

// Convert exchanges a code for the App's key.
func (gitHubApps) Convert(ctx context.Context, api, code string) (agent.GitHubApp, string, error) {
	app, about, err := github.ConvertManifest(ctx, api, code)
	return about, app.Key, err
}

// Installed tells where an App is installed.
func (gitHubApps) Installed(ctx context.Context, api string, id int64, key string) (agent.GitHubApp, []agent.GitHubInstallation, error) {
	return github.Installed(ctx, api, github.App{ID: id, Key: key})
}

// gitRemotes opens plain git repositories.
type gitRemotes struct{ dir string }

// Open is the repository of a pipeline.
func (g gitRemotes) Open(p agent.Pipeline, secret agent.GitSecret) (pipeline.Host, error) {
	return git.NewHost(git.Remote{URL: p.Remote, Basic: secret.Basic, Key: secret.Key, HostKey: p.HostKey}, g.dir)
}

// Parse checks an address.
func (gitRemotes) Parse(address string) (string, error) { return git.ParseURL(address) }

// NewKey makes a deploy key.
func (gitRemotes) NewKey(comment string) (private, public string, err error) {
	return git.NewKey(comment)
}

// HostKey asks an SSH server for its key.
func (gitRemotes) HostKey(ctx context.Context, address string) (line, fingerprint string, err error) {
	return git.HostKey(ctx, address)
}

// Fingerprint is that of a key.
func (gitRemotes) Fingerprint(line string) (string, error) { return git.Fingerprint(line) }
