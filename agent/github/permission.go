package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

// nobody is a commit that no repository has. What asks to write to it is
// refused for that (404, 422) by a GitHub that would have let it write, and
// with 403 by one that would not: so a permission is tried without changing
// anything.
const nobody = "0000000000000000000000000000000000000000"

// Permissions tries each permission that hks needs of a repository.
func (c *Client) Permissions(ctx context.Context, name string) ([]agent.GitPermission, error) {
	owner, repo, err := split(name)
	if err != nil {
		return nil, err
	}
	tries := []struct {
		name, why string
		try       func() (*gh.Response, error)
	}{
		{"Metadata: read", "finding the repository", func() (*gh.Response, error) {
			_, answer, err := c.client.Repositories.Get(ctx, owner, repo)
			return answer, err
		}},
		{"Contents: read", "checking commits out", func() (*gh.Response, error) {
			_, answer, err := c.client.Repositories.ListBranches(ctx, owner, repo, &gh.BranchListOptions{ListOptions: gh.ListOptions{PerPage: 1}})
			return answer, err
		}},
		{"Commit statuses: read and write", "telling how a run went", func() (*gh.Response, error) {
			_, answer, err := c.client.Repositories.CreateStatus(ctx, owner, repo, nobody, &gh.RepoStatus{State: gh.String("pending"), Context: gh.String("hks/check")})
			return answer, err
		}},
		{deploymentPermission, "recording deployments", func() (*gh.Response, error) {
			_, answer, err := c.client.Repositories.CreateDeployment(ctx, owner, repo, &gh.DeploymentRequest{Ref: gh.String(nobody), AutoMerge: gh.Bool(false), RequiredContexts: &[]string{}})
			return answer, err
		}},
		{"Pull requests: read", "building pull requests", func() (*gh.Response, error) {
			_, answer, err := c.client.PullRequests.List(ctx, owner, repo, &gh.PullRequestListOptions{ListOptions: gh.ListOptions{PerPage: 1}})
			return answer, err
		}},
		{"Webhooks: read and write", "starting a run within seconds of a push", func() (*gh.Response, error) {
			_, answer, err := c.client.Repositories.EditHook(ctx, owner, repo, 1, &gh.Hook{Config: &gh.HookConfig{}})
			return answer, err
		}},
	}
	var all []agent.GitPermission
	for i, one := range tries {
		p := agent.GitPermission{Name: one.name, For: one.why, Granted: true}
		answer, err := one.try()
		refused, isRefused := errors.AsType[*gh.ErrorResponse](err)
		switch {
		case err == nil:
		case !isRefused || answer == nil, answer.StatusCode == http.StatusUnauthorized, answer.StatusCode >= 500:
			return nil, explain(err, name, one.name)
		case i < 2 || answer.StatusCode == http.StatusForbidden || strings.Contains(refused.Message, "not accessible"):
			p.Granted, p.Why = false, clip(refused.Message)
		}
		if all = append(all, p); i == 0 && !p.Granted {
			return all, nil // nothing else can be told of what can't be seen
		}
	}
	return all, nil
}
