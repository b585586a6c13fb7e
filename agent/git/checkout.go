package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	cloneTimeout = 5 * time.Minute
	askTimeout   = 20 * time.Second
	cloneLimit   = 1 << 30 // bytes of a checkout, with git's own files
	sizeBeat     = time.Second
	maxOutput    = 4 << 20 // bytes of what git prints
)

// Checkout puts one commit of a repository, without history, submodules or git's own files,
// into a folder that it makes. Passwords are handed to git by its environment:
// they are neither in an argument nor in a file.
func Checkout(ctx context.Context, r Remote, sha, folder string) error {
	if err := fetched(ctx, r, folder, []string{sha}, true); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(folder, ".git")); err != nil {
		return fmt.Errorf("removing git's own files: %w", err)
	}
	return nil
}

// fetched puts commits, each without its history, into a new repository, and
// with files the first one's files into its folder.
func fetched(ctx context.Context, r Remote, folder string, commits []string, files bool) error {
	for _, sha := range commits {
		if !shaGrammar.MatchString(sha) {
			return agent.Errorf(agent.CodeInvalid, "", "%q is not a commit", sha)
		}
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
	fetch := []string{"fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance"}
	if !files {
		fetch = append(fetch, "--filter=blob:none")
	}
	steps := [][]string{{"init", "--quiet", "--template=", "."}, append(append(fetch, "--", "URL"), commits...)}
	if files {
		steps = append(steps, []string{"checkout", "--quiet", "--detach", "FETCH_HEAD"})
	}
	for _, args := range steps {
		if _, err := run(ctx, r, folder, args...); err != nil {
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, errTooLarge):
				return agent.Errorf(agent.CodeTooLarge, "keep large files elsewhere", "a checkout of %s is larger than %d MB", r.URL, cloneLimit>>20)
			case errors.Is(cause, context.DeadlineExceeded):
				return agent.Errorf(agent.CodeGitHub, "run it again", "a checkout of %s took longer than %s", r.URL, cloneTimeout)
			}
			return err
		}
	}
	return nil
}

// run runs git with nothing of this machine's settings, no hooks, no filters,
// no helper programs and one protocol. The word URL stands for the remote's address.
func run(ctx context.Context, r Remote, folder string, args ...string) (string, error) {
	address, protocol := r.URL, r.scheme()
	for i, arg := range args {
		if arg != "URL" {
			continue
		}
		if protocol == "ssh" {
			t, err := openTunnel(ctx, r)
			if err != nil {
				return "", err
			}
			defer t.close()
			address, protocol = t.address, "git"
		}
		args[i] = address
	}
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "credential.helper=", "-c", "http.followRedirects=false",
		"-c", "submodule.recurse=false", "-c", "transfer.fsckObjects=true", "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true",
	}, args...)...)
	cmd.Dir = folder
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_LFS_SKIP_SMUDGE=1", "GIT_ALLOW_PROTOCOL=" + protocol, "GIT_CEILING_DIRECTORIES=" + filepath.Dir(folder), "GIT_NO_LAZY_FETCH=1",
	}
	basic := ""
	if r.Basic != "" {
		scope, err := url.Parse(r.URL)
		if err != nil {
			return "", fmt.Errorf("reading a remote's address: %w", err)
		}
		scope.Path = "/"
		basic = base64.StdEncoding.EncodeToString([]byte(r.Basic))
		cmd.Env = append(cmd.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http."+scope.String()+".extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+basic)
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{to: &out, left: maxOutput}, &limited{to: &told, left: 4 << 10}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		words := strings.TrimSpace(told.String())
		if basic != "" {
			_, password, _ := strings.Cut(r.Basic, ":")
			words = strings.NewReplacer(r.Basic, "***", password, "***", basic, "***").Replace(words)
		}
		words = strings.ReplaceAll(words, address, r.URL) // not the tunnel's
		return "", agent.Errorf(agent.CodeGitHub, "see that the address is right and that hks may read it (for GitHub: Contents: read), then try again", "git %s failed: %s (%w)", args[0], clip(words), err)
	}
	return out.String(), nil
}

// clip makes strangers' text fit for one line.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return text
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
