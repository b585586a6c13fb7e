package double

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/pipeline"
	"hks.dev/hks/agent/store"
)

// newPipelines is the real manager of pipelines over a made-up GitHub.
func newPipelines(s *store.Store, dir string, builds pipeline.Builder, apps pipeline.Apps, publish func(string, string, any), record func(context.Context, agent.Activity)) (*pipeline.Manager, error) {
	return pipeline.New(pipeline.Config{
		Store: s, Builds: builds, Apps: apps, Dir: filepath.Join(dir, "pipelines"), Publish: publish, Activity: record,
		Dial: func(_ agent.GitHub, token string) (pipeline.Host, error) { return gitHub{token}, nil },
	})
}

// gitHub takes any token but "wrong", and has one repository with one commit.
type gitHub struct{ token string }

func (gitHub) URL() string { return "https://api.github.com/" }

func (g gitHub) Login(context.Context) (string, error) {
	if g.token == "wrong" {
		return "", agent.Errorf(agent.CodeGitHub, "make another token, and connect again", "GitHub does not accept the token")
	}
	return "octo", nil
}

func (gitHub) Repositories(context.Context) ([]agent.GitRepository, error) {
	return []agent.GitRepository{{Name: "octo/hello", Branch: "main"}, {Name: "octo/secret", Branch: "trunk", Private: true}}, nil
}

func (gitHub) Repository(_ context.Context, name string) (agent.GitRepository, error) {
	return agent.GitRepository{Name: name, Branch: "main"}, nil
}

func (gitHub) Head(_ context.Context, _, _, known string) (agent.Commit, bool, error) {
	sha := strings.Repeat("c0ffee", 7)[:40]
	return agent.Commit{SHA: sha, Message: "Say hello", Author: "Octo Cat"}, sha != known, nil
}

func (gitHub) AddHook(context.Context, string, string, string) (int64, error)          { return 1, nil }
func (gitHub) RemoveHook(context.Context, string, int64) error                         { return nil }
func (gitHub) SetStatus(context.Context, string, string, string, string, string) error { return nil }

func (gitHub) Changed(context.Context, string, string, string) ([]string, bool, error) {
	return nil, true, nil
}

// Pulls are one of a fork, and one of an own branch.
func (gitHub) Pulls(context.Context, string) ([]agent.Pull, bool, error) {
	return []agent.Pull{
		{Number: 7, Title: "Greet in Latin", Author: "stranger", Branch: "latin", SHA: strings.Repeat("b01d", 10), Fork: true},
		{Number: 8, Title: "Greet twice", Author: "octo", Branch: "twice", SHA: strings.Repeat("cafe", 10)},
	}, true, nil
}

func (gitHub) Tags(context.Context, string) (map[string]string, error) { return nil, nil }

func (gitHub) Permissions(context.Context, string) ([]agent.GitPermission, error) {
	return []agent.GitPermission{
		{Name: "Contents: read", For: "checking commits out", Granted: true},
		{Name: "Deployments: read and write", For: "recording deployments", Why: "Resource not accessible by personal access token"},
	}, nil
}

func (gitHub) AddDeployment(context.Context, string, string, string, string) (int64, error) {
	return 1, nil
}
func (gitHub) SetDeployment(context.Context, string, int64, string, string) error { return nil }

func (gitHub) Clone(_ context.Context, _, _, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte("FROM scratch\nEXPOSE 8080\nRUN echo hello\n"), 0o600)
}
