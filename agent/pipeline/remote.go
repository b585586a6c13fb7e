package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/github"
)

// createRemote makes a pipeline of a plain git repository. By SSH it gets a
// deploy key of its own, which must be added at the repository's host before
// anything can be read; so the pipeline is made first, and says what it waits for.
func (m *Manager) createRemote(ctx context.Context, p agent.Pipeline, by string) (agent.Pipeline, error) {
	if m.cfg.Remotes == nil {
		return agent.Pipeline{}, agent.Errorf(agent.CodeInvalid, "", "this appliance reads no plain git repositories")
	}
	address, err := m.cfg.Remotes.Parse(p.Remote)
	if err != nil {
		return agent.Pipeline{}, err
	}
	secret := agent.GitSecret{Basic: p.Password}
	p.Remote, p.Password, p.DeployKey, p.HostPrint = address, "", "", ""
	_, place, _ := strings.Cut(address, "://")
	if _, after, ok := strings.Cut(place, "@"); ok {
		place = after
	}
	p.Repository = strings.TrimSuffix(place, ".git")
	if strings.HasPrefix(address, "ssh://") {
		if p.HostKey == "" {
			p.HostKey, p.HostPrint, err = m.cfg.Remotes.HostKey(ctx, address)
		} else {
			p.HostPrint, err = m.cfg.Remotes.Fingerprint(p.HostKey)
		}
		if err != nil {
			return agent.Pipeline{}, err
		}
		if secret.Key, p.DeployKey, err = m.cfg.Remotes.NewKey("hks-" + p.Name); err != nil {
			return agent.Pipeline{}, err
		}
	} else {
		p.HostKey = ""
		if secret.Basic != "" && !strings.Contains(secret.Basic, ":") {
			secret.Basic = "x-access-token:" + secret.Basic // what most hosts take with a token
		}
	}
	p.Head, p.HookID, p.PollNote, p.Variables, p.CreatedAt = "", 0, "", nil, m.cfg.Now().UTC()
	p.HookNote = "a plain git repository has no webhooks; its branch is looked at every 30 s"
	host, err := m.cfg.Remotes.Open(p, secret)
	if err != nil {
		return agent.Pipeline{}, err
	}
	var commit agent.Commit
	found, err := host.Repository(ctx, p.Repository)
	if err == nil && p.Branch == "" {
		p.Branch = found.Branch
	}
	if p.Branch == "" {
		p.Branch = "main"
	}
	if invalid := github.ValidateBranch(p.Branch); invalid != nil {
		return agent.Pipeline{}, invalid
	}
	if err == nil {
		commit, _, err = host.Head(ctx, p.Repository, p.Branch, "")
	}
	if err == nil {
		err = m.noteTags(ctx, host, p)
	}
	waits := err != nil && p.DeployKey != ""
	if err != nil && !waits {
		return agent.Pipeline{}, err
	}
	if waits {
		p.PollNote = err.Error()
	}
	added, err := m.cfg.Store.AddPipeline(ctx, p, "")
	if err == nil && !added {
		err = taken(p.Name)
	}
	if err != nil {
		return agent.Pipeline{}, err
	}
	if err := m.cfg.Store.PutGitSecret(ctx, p.Name, secret); err != nil {
		return agent.Pipeline{}, errors.Join(err, m.cfg.Store.RemovePipeline(ctx, p.Name))
	}
	m.tell(ctx, "info", p.Name, fmt.Sprintf("pipeline for %s, branch %s, created", p.Repository, p.Branch), by)
	if !waits {
		if _, err := m.accept(ctx, p, agent.Run{Commit: commit, Trigger: "manual", By: by}, false); err != nil {
			return agent.Pipeline{}, err
		}
	}
	m.watch(p.Name)
	return m.Get(ctx, p.Name)
}
