package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

// CloneFrom is where a repository is cloned from, never what a payload says,
// and what git is let in by. For an App that is a token of an hour, for that one repository,
// which can read its contents and do nothing else.
func (c *Client) CloneFrom(ctx context.Context, name string) (address, basic string, err error) {
	_, repo, err := split(name)
	if err != nil {
		return "", "", err
	}
	token := c.cfg.Token
	if c.installation != nil {
		transport := c.newInstallation()
		transport.InstallationTokenOptions = &gh.InstallationTokenOptions{
			Repositories: []string{repo}, Permissions: &gh.InstallationPermissions{Contents: gh.String("read"), Metadata: gh.String("read")},
		}
		if token, err = transport.Token(ctx); err != nil {
			return "", "", agent.Errorf(agent.CodeGitHub, "see that the App is installed for "+name+" with the permission \"Contents: read\"", "GitHub gives no token to clone %s with: %w", name, bare(err))
		}
	}
	u := *c.base
	switch {
	case c.base.String() == PublicURL:
		u.Host, u.Path = "github.com", "/"+name+".git"
	default: // https://HOST/api/v3/
		u.Path = strings.TrimSuffix(u.Path, "api/v3/") + name + ".git"
	}
	return u.String(), "x-access-token:" + token, nil
}
