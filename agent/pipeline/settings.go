package pipeline

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"

	"hks.dev/hks/agent"
)

// Bounds of settings.
const (
	mostPaths     = 50
	mostWords     = 64
	mostVariables = 100
	largestValue  = 32 << 10 // bytes
	mostPreviews  = 10
	previewDays   = 7 // when nothing else is set
	mostDays      = 90
)

// edited is a pipeline with the settings of another.
func edited(p, change agent.Pipeline) agent.Pipeline {
	if change.Branch == "" {
		change.Branch = p.Branch
	}
	change.Name, change.Repository, change.Head, change.CreatedAt = p.Name, p.Repository, p.Head, p.CreatedAt
	change.Remote, change.Password, change.DeployKey, change.HostPrint = p.Remote, "", p.DeployKey, p.HostPrint
	if change.HostKey == "" {
		change.HostKey = p.HostKey
	}
	change.HookID, change.HookNote, change.PollNote, change.Variables = p.HookID, p.HookNote, p.PollNote, p.Variables
	return change
}

// checkSettings checks what is the owner's to choose.
func checkSettings(p agent.Pipeline) error {
	if err := checkFolder(p.Folder); err != nil {
		return err
	}
	if p.Reports != "" {
		if err := checkFolder(p.Reports); err != nil {
			return err
		}
	}
	if _, err := patternmatcher.New(p.Paths); err != nil || len(p.Paths) > mostPaths {
		return agent.Errorf(agent.CodeInvalid, "write them as in a .dockerignore, such as services/web/**", "the paths that start a run have one that is not valid, or are more than %d", mostPaths)
	}
	if len(p.Test) > mostWords || len(strings.Join(p.Test, " ")) > largestValue {
		return agent.Errorf(agent.CodeInvalid, "put it into a script", "the test command is too long")
	}
	if p.Previews < 0 || p.Previews > mostPreviews || p.PreviewDays < 0 || p.PreviewDays > mostDays {
		return agent.Errorf(agent.CodeInvalid, fmt.Sprintf("there are up to %d previews, for up to %d days", mostPreviews, mostDays), "%d previews for %d days is not possible", p.Previews, p.PreviewDays)
	}
	if p.PullRequests && p.Remote != "" {
		return agent.Errorf(agent.CodeInvalid, "connect GitHub for them: hks github connect", "a plain git repository has no pull requests")
	}
	if p.Previews > 0 {
		if !p.PullRequests {
			return agent.Errorf(agent.CodeInvalid, "have them built: --pull-requests", "previews are of pull requests, which are not built")
		}
		if err := agent.ValidateName("preview", agent.PreviewName(p.Name, 99999)); err != nil {
			return err
		}
	}
	if _, err := path.Match(p.PromoteTags, "v1"); err != nil || strings.ContainsAny(p.PromoteTags, " \n") {
		return agent.Errorf(agent.CodeInvalid, "write it such as v*", "%q is not a pattern of tags", p.PromoteTags)
	}
	return nil
}

// checkFolder checks a folder within a repository.
func checkFolder(folder string) error {
	if folder != "" && (!filepath.IsLocal(folder) || len(folder) > 200 || strings.ContainsFunc(folder, func(r rune) bool { return r < ' ' })) {
		return agent.Errorf(agent.CodeInvalid, "give it as seen from the repository's top, such as services/web", "%q is not a folder of a repository", folder)
	}
	return nil
}

// touches tells whether what changed since the last run is of the pipeline. When that
// can't be told it is.
func (m *Manager) touches(ctx context.Context, p agent.Pipeline, sha string) (bool, error) {
	if len(p.Paths) == 0 || p.Head == "" {
		return true, nil
	}
	host, err := m.hostOf(ctx, p)
	if err != nil {
		return false, err
	}
	files, all, err := host.Changed(ctx, p.Repository, p.Head, sha)
	if err != nil {
		return false, err
	}
	matcher, err := patternmatcher.New(p.Paths)
	if err != nil {
		return false, fmt.Errorf("reading the paths of %s: %w", p.Name, err)
	}
	for _, file := range files {
		if match, err := matcher.MatchesOrParentMatches(file); err != nil || match {
			return true, nil // what can't be matched is not left out
		}
	}
	return all, nil
}

// SetEnv changes variables of a pipeline's tests and builds.
func (m *Manager) SetEnv(ctx context.Context, name string, env agent.PipelineEnv, by string) (agent.Pipeline, error) {
	p, err := m.Get(ctx, name)
	if err != nil {
		return agent.Pipeline{}, err
	}
	for _, values := range []map[string]string{env.Set, env.Secrets} {
		for variable, value := range values {
			if err := agent.ValidateEnvName(variable); err != nil {
				return agent.Pipeline{}, err
			}
			if len(value) > largestValue || strings.ContainsRune(value, 0) {
				return agent.Pipeline{}, agent.Errorf(agent.CodeInvalid, "make it shorter", "the value of %s is larger than %d KB, or has a zero byte", variable, largestValue>>10)
			}
			if _, twice := env.Secrets[variable]; twice && env.Set[variable] == value && value != "" {
				return agent.Pipeline{}, agent.Errorf(agent.CodeInvalid, "give it once", "%s is given as a secret and as none", variable)
			}
		}
	}
	if len(p.Variables)+len(env.Set)+len(env.Secrets) > mostVariables {
		return agent.Pipeline{}, agent.Errorf(agent.CodeTooMany, "remove some: hks pipeline set "+name+" --unset NAME", "a pipeline has up to %d variables", mostVariables)
	}
	if err := m.cfg.Store.PutPipelineEnv(ctx, name, env); err != nil {
		return agent.Pipeline{}, err
	}
	m.tell(ctx, "info", name, "variables of the pipeline changed", by)
	return m.Get(ctx, name)
}

// variables are those of a pipeline, without the values of secrets.
func (m *Manager) variables(ctx context.Context, name string) ([]agent.PipelineVariable, error) {
	all, err := m.cfg.Store.PipelineEnv(ctx, name)
	for i := range all {
		if all[i].Secret {
			all[i].Value = ""
		}
	}
	return all, err
}

// request is how a run is built. A pull request of a fork is built with none
// of the owner's values, in a cache of its own, and never released.
func (m *Manager) request(ctx context.Context, p agent.Pipeline, r *agent.Run) (agent.BuildRequest, error) {
	request := agent.BuildRequest{Test: !p.SkipTests, TestCommand: p.Test, Reports: p.Reports, Only: !r.Deploys()}
	if r.Pull != nil && r.Pull.Fork {
		request.Apart, request.Only = fmt.Sprintf("pull-%d", r.Pull.Number), true
		return request, nil
	}
	all, err := m.cfg.Store.PipelineEnv(ctx, p.Name)
	if err != nil {
		return agent.BuildRequest{}, err
	}
	request.Args, request.Secrets = map[string]string{}, map[string]string{}
	for _, v := range all {
		if v.Secret {
			request.Secrets[v.Name] = v.Value
		} else {
			request.Args[v.Name] = v.Value
		}
	}
	return request, nil
}
