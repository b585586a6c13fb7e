package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hks.dev/hks/agent"
)

// Host is a repository that is known by its address alone: it is looked at,
// and nothing is told to it.
type Host struct {
	remote Remote
	dir    string // of what is fetched for a moment
}

// NewHost checks the address; nothing is dialled. Dir holds what is fetched
// for a moment.
func NewHost(remote Remote, dir string) (*Host, error) {
	address, err := ParseURL(remote.URL)
	if err != nil {
		return nil, err
	}
	remote.URL = address
	return &Host{remote: remote, dir: dir}, nil
}

// URL is the repository's address.
func (h *Host) URL() string { return h.remote.URL }

// Login tells nobody: there is none.
func (h *Host) Login(context.Context) (string, error) { return "", nil }

// Repositories lists the one that there is.
func (h *Host) Repositories(context.Context) ([]agent.GitRepository, error) {
	return []agent.GitRepository{{Name: h.remote.URL, Private: true}}, nil
}

// Repository finds the repository's own branch.
func (h *Host) Repository(ctx context.Context, name string) (agent.GitRepository, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := run(ctx, h.remote, h.dir, "ls-remote", "--symref", "--", "URL", "HEAD")
	if err != nil {
		return agent.GitRepository{}, err
	}
	found := agent.GitRepository{Name: name, Private: true}
	for line := range strings.Lines(out) {
		if ref, ok := strings.CutPrefix(line, "ref: refs/heads/"); ok {
			found.Branch, _, _ = strings.Cut(ref, "\t")
		}
	}
	return found, nil
}

// Head returns the newest commit of a branch.
func (h *Host) Head(ctx context.Context, _, branch, known string) (commit agent.Commit, changed bool, err error) {
	if !branchGrammar.MatchString(branch) || strings.Contains(branch, "..") {
		return agent.Commit{}, false, agent.Errorf(agent.CodeInvalid, "name it as git does, such as main", "%q is not the name of a branch", branch)
	}
	refs, err := h.refs(ctx, "refs/heads/"+branch)
	if err != nil {
		return agent.Commit{}, false, err
	}
	sha := refs["refs/heads/"+branch]
	switch sha {
	case "":
		return agent.Commit{}, false, agent.Errorf(agent.CodeGitHub, "name another: hks pipeline edit APP --branch BRANCH", "%s has no branch %s", h.remote.URL, branch)
	case known:
		return agent.Commit{SHA: sha}, false, nil
	}
	commit = agent.Commit{SHA: sha}
	err = h.within(func(folder string) error {
		if err := fetched(ctx, h.remote, folder, []string{sha}, false); err != nil {
			return err
		}
		out, err := run(ctx, h.remote, folder, "show", "--no-patch", "--no-show-signature", "--format=%an%n%s", sha)
		author, message, _ := strings.Cut(strings.TrimSpace(out), "\n")
		commit.Author, commit.Message = clip(author), clip(message)
		return err
	})
	return commit, true, err
}

// refs lists references that match patterns, with the commits that tags are
// of.
func (h *Host) refs(ctx context.Context, patterns ...string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := run(ctx, h.remote, h.dir, append([]string{"ls-remote", "--", "URL"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		sha, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && shaGrammar.MatchString(sha) {
			refs[strings.TrimSuffix(name, "^{}")] = sha // of an annotated tag the commit comes after the tag
		}
	}
	return refs, nil
}

// Clone puts one commit into a folder that it makes.
func (h *Host) Clone(ctx context.Context, _, sha, folder string) error {
	return Checkout(ctx, h.remote, sha, folder)
}

// Changed names the files that differ between two commits.
func (h *Host) Changed(ctx context.Context, _, from, to string) (files []string, all bool, err error) {
	err = h.within(func(folder string) error {
		if err := fetched(ctx, h.remote, folder, []string{to, from}, false); err != nil {
			return err
		}
		out, err := run(ctx, h.remote, folder, "diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to)
		files, all = strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), len(out) >= maxOutput
		return err
	})
	if agent.CodeOf(err) == agent.CodeGitHub && ctx.Err() == nil {
		return nil, true, nil // the earlier commit may be gone after a forced push
	}
	return files, all, err
}

// within runs work in a folder that is removed after it.
func (h *Host) within(work func(folder string) error) error {
	name := sha256.Sum256([]byte(h.remote.URL))
	folder, err := os.MkdirTemp(h.dir, "look-"+hex.EncodeToString(name[:4])+"-")
	if err != nil {
		return fmt.Errorf("making a checkout: %w", err)
	}
	defer func() { _ = os.RemoveAll(filepath.Clean(folder)) }() // what stays is cleared at the next start
	return work(folder)
}

// Tags lists the tags with their commits.
func (h *Host) Tags(ctx context.Context, _ string) (map[string]string, error) {
	refs, err := h.refs(ctx, "refs/tags/*")
	tags := map[string]string{}
	for name, sha := range refs {
		tags[strings.TrimPrefix(name, "refs/tags/")] = sha
	}
	return tags, err
}

// Pulls lists nothing: git itself knows of no pull requests.
func (h *Host) Pulls(context.Context, string) ([]agent.Pull, bool, error) { return nil, true, nil }

// Permissions tells whether the repository can be read.
func (h *Host) Permissions(ctx context.Context, repository string) ([]agent.GitPermission, error) {
	p := agent.GitPermission{Name: "read", For: "finding commits and checking them out", Granted: true}
	if _, err := h.Repository(ctx, repository); err != nil {
		p.Granted, p.Why = false, err.Error()
	}
	return []agent.GitPermission{p}, nil
}

// AddHook refuses: git itself knows of no webhooks.
func (h *Host) AddHook(context.Context, string, string, string) (int64, error) {
	return 0, agent.Errorf(agent.CodeInvalid, "", "a plain git repository has no webhooks; its branch is looked at every 30 s")
}

// RemoveHook has nothing to remove.
func (h *Host) RemoveHook(context.Context, string, int64) error { return nil }

// SetStatus tells nobody.
func (h *Host) SetStatus(context.Context, string, string, string, string, string) error { return nil }

// AddDeployment tells nobody.
func (h *Host) AddDeployment(context.Context, string, string, string, string) (int64, error) {
	return 0, nil
}

// SetDeployment tells nobody.
func (h *Host) SetDeployment(context.Context, string, int64, string, string) error { return nil }
