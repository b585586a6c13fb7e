package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

const mostPullPages = 3 // 100 each

// Pulls lists the pull requests that are open; all is false when there are
// more than are listed.
func (c *Client) Pulls(ctx context.Context, name string) (pulls []agent.Pull, all bool, err error) {
	owner, repo, err := split(name)
	if err != nil {
		return nil, false, err
	}
	options := &gh.PullRequestListOptions{State: "open", Sort: "updated", Direction: "desc", ListOptions: gh.ListOptions{PerPage: 100}}
	for range mostPullPages {
		page, answer, err := c.client.PullRequests.List(ctx, owner, repo, options)
		if err != nil {
			return nil, false, explain(err, name, "Pull requests: read")
		}
		for _, one := range page {
			if !shaGrammar.MatchString(one.GetHead().GetSHA()) || one.GetNumber() < 1 {
				continue
			}
			pulls = append(pulls, agent.Pull{
				Number: one.GetNumber(), Title: clip(one.GetTitle()), Author: clip(one.GetUser().GetLogin()), Branch: clip(one.GetHead().GetRef()),
				SHA: one.GetHead().GetSHA(), URL: webURL(one.GetHTMLURL()),
				// A head whose repository is gone, or is not this one, is a stranger's.
				Fork: !strings.EqualFold(one.GetHead().GetRepo().GetFullName(), name),
			})
		}
		if options.Page = answer.NextPage; options.Page == 0 {
			return pulls, true, nil
		}
	}
	return pulls, false, nil
}

const mostFiles = 300 // that GitHub names of a comparison

// Changed names the files that differ between two commits; all is true when
// they can't be told, as after a forced push, or are too many.
func (c *Client) Changed(ctx context.Context, name, from, to string) (files []string, all bool, err error) {
	owner, repo, err := split(name)
	if err != nil {
		return nil, false, err
	}
	if !shaGrammar.MatchString(from) || !shaGrammar.MatchString(to) {
		return nil, true, nil
	}
	found, answer, err := c.client.Repositories.CompareCommits(ctx, owner, repo, from, to, &gh.ListOptions{PerPage: 1})
	if err != nil && answer != nil && answer.StatusCode == 404 {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, explain(err, name, "Contents: read")
	}
	for _, f := range found.Files {
		files = append(files, f.GetFilename())
		if f.GetPreviousFilename() != "" {
			files = append(files, f.GetPreviousFilename())
		}
	}
	return files, len(found.Files) >= mostFiles || found.GetStatus() != "ahead", nil
}

// Tags lists the tags with their commits.
func (c *Client) Tags(ctx context.Context, name string) (map[string]string, error) {
	owner, repo, err := split(name)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	options := &gh.ListOptions{PerPage: 100}
	for range mostPages {
		page, answer, err := c.client.Repositories.ListTags(ctx, owner, repo, options)
		if err != nil {
			return nil, explain(err, name, "Contents: read")
		}
		for _, t := range page {
			if sha := t.GetCommit().GetSHA(); shaGrammar.MatchString(sha) && t.GetName() == clip(t.GetName()) {
				tags[t.GetName()] = sha
			}
		}
		if options.Page = answer.NextPage; options.Page == 0 {
			break
		}
	}
	return tags, nil
}
