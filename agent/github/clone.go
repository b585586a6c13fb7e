package github

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	cloneTimeout = 5 * time.Minute
	cloneLimit   = 1 << 30 // bytes of a checkout, with git's own files
	sizeBeat     = time.Second
)

// Clone puts one commit of a repository, without history, submodules or git's own files,
// into a folder that it makes. The token is handed to git by its environment:
// it is neither in an argument nor in a file.
func (c *Client) Clone(ctx context.Context, name, sha, folder string) error {
	if err := ValidateRepository(name); err != nil {
		return err
	}
	if !shaGrammar.MatchString(sha) {
		return agent.Errorf(agent.CodeInvalid, "", "%q is not a commit", sha)
	}
	ctx, cancel := context.WithTimeout(ctx, cloneTimeout)
	defer cancel()
	ctx, tooLarge := context.WithCancelCause(ctx)
	defer tooLarge(nil)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making a checkout: %w", err)
	}
	watched := make(chan struct{})
	go func() { // ends with ctx
		defer close(watched)
		watchSize(ctx, folder, tooLarge)
	}()
	defer func() { tooLarge(nil); <-watched }()
	address := c.gitURL(name)
	for _, args := range [][]string{
		{"init", "--quiet", "--template=", "."},
		{"fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--", address, sha},
		{"checkout", "--quiet", "--detach", "FETCH_HEAD"},
	} {
		if err := c.git(ctx, folder, args...); err != nil {
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, errTooLarge):
				return agent.Errorf(agent.CodeTooLarge, "keep large files elsewhere", "a checkout of %s is larger than %d MB", name, cloneLimit>>20)
			case errors.Is(cause, context.DeadlineExceeded):
				return agent.Errorf(agent.CodeGitHub, "run it again", "a checkout of %s took longer than %s", name, cloneTimeout)
			}
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(folder, ".git")); err != nil {
		return fmt.Errorf("removing git's own files: %w", err)
	}
	return nil
}

// gitURL is where the repository is cloned from: never what a payload says.
func (c *Client) gitURL(name string) string {
	u := *c.base
	switch {
	case c.base.String() == PublicURL:
		u.Host, u.Path = "github.com", "/"+name+".git"
	default: // https://HOST/api/v3/
		u.Path = strings.TrimSuffix(u.Path, "api/v3/") + name + ".git"
	}
	return u.String()
}

// git runs git with nothing of this machine's settings, no hooks, no filters,
// no helper programs and one protocol.
func (c *Client) git(ctx context.Context, folder string, args ...string) error {
	scope := *c.base
	scope.Path = "/"
	if c.base.String() == PublicURL {
		scope.Host = "github.com"
	}
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "credential.helper=", "-c", "http.followRedirects=false",
		"-c", "submodule.recurse=false", "-c", "transfer.fsckObjects=true", "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true",
	}, args...)...)
	cmd.Dir = folder
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + c.cfg.Token))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_LFS_SKIP_SMUDGE=1", "GIT_ALLOW_PROTOCOL=" + c.base.Scheme, "GIT_CEILING_DIRECTORIES=" + filepath.Dir(folder),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + scope.String() + ".extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic " + basic,
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var told bytes.Buffer
	cmd.Stderr = &limited{to: &told, left: 4 << 10}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		words := strings.NewReplacer(c.cfg.Token, "***", basic, "***").Replace(strings.TrimSpace(told.String()))
		return agent.Errorf(agent.CodeGitHub, "give the token the permission \"Contents: read\", then run it again", "git %s failed: %s (%w)", args[0], clip(words), err)
	}
	return nil
}

type limited struct {
	to   *bytes.Buffer
	left int
}

// Write keeps the beginning, and takes all.
func (l *limited) Write(data []byte) (int, error) {
	n := min(len(data), l.left)
	l.left -= n
	_, _ = l.to.Write(data[:n]) // a buffer takes all
	return len(data), nil
}

var errTooLarge = errors.New("too large")

// watchSize ends a clone that grows over its limit.
func watchSize(ctx context.Context, folder string, end context.CancelCauseFunc) {
	beat := time.NewTicker(sizeBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		var size int64
		_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error { // files come and go meanwhile
			if err == nil && entry.Type().IsRegular() {
				if info, err := entry.Info(); err == nil {
					size += info.Size()
				}
			}
			return nil
		})
		if size > cloneLimit {
			end(errTooLarge)
			return
		}
	}
}
