package github

import (
	"context"

	gh "github.com/google/go-github/v60/github"
)

const deploymentPermission = "Deployments: read and write"

// AddDeployment records that a commit is being deployed, and returns the
// record's id.
func (c *Client) AddDeployment(ctx context.Context, name, sha, environment, words string) (int64, error) {
	owner, repo, err := split(name)
	if err != nil {
		return 0, err
	}
	made, _, err := c.client.Repositories.CreateDeployment(ctx, owner, repo, &gh.DeploymentRequest{
		Ref: &sha, Environment: &environment, Description: gh.String(clip(words)), Task: gh.String("deploy"),
		// It is deployed already: GitHub merges nothing and waits for nothing.
		AutoMerge: gh.Bool(false), RequiredContexts: &[]string{}, TransientEnvironment: gh.Bool(environment != "staging" && environment != "production"),
	})
	if err != nil {
		return 0, explain(err, name, deploymentPermission)
	}
	return made.GetID(), nil
}

// SetDeployment tells how a deployment goes: in_progress, success, failure,
// error or inactive.
func (c *Client) SetDeployment(ctx context.Context, name string, id int64, state, words string) error {
	owner, repo, err := split(name)
	if err != nil {
		return err
	}
	if _, _, err := c.client.Repositories.CreateDeploymentStatus(ctx, owner, repo, id, &gh.DeploymentStatusRequest{
		State: &state, Description: gh.String(clip(words)),
	}); err != nil {
		return explain(err, name, deploymentPermission)
	}
	return nil
}
