package git

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"hks.dev/hks/agent"
)

// server is an SSH server that runs git-upload-pack for one key.
type server struct {
	url     string
	hostKey string
	work    string // a folder whose commits are the repository's
}

func newServer(t *testing.T, allowed string) *server {
	t.Helper()
	s := &server{work: t.TempDir()}
	s.git(t, "init", "--quiet", "--initial-branch=main", ".")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s.hostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !strings.HasPrefix(allowed, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))) {
			return nil, errors.New("unknown")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s.url = "ssh://git@" + listener.Addr().String() + "/octo/hello.git"
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(t.Context(), conn, config)
		}
	}()
	return s
}

func (s *server) serve(ctx context.Context, conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		_ = conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	for one := range channels {
		channel, requests, err := one.Accept()
		if err != nil {
			return
		}
		go s.session(ctx, channel, requests)
	}
}

func (s *server) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	var env []string
	for r := range requests {
		switch {
		case r.Type == "env":
			var v struct{ Name, Value string }
			if ssh.Unmarshal(r.Payload, &v) == nil && v.Name == "GIT_PROTOCOL" {
				env = append(env, v.Name+"="+v.Value)
			}
			_ = r.Reply(true, nil)
		case r.Type == "exec" && string(r.Payload[4:]) == "git-upload-pack '/octo/hello.git'":
			_ = r.Reply(true, nil)
			cmd := exec.CommandContext(ctx, "git-upload-pack", filepath.Join(s.work, ".git"))
			cmd.Env = append(os.Environ(), env...)
			cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
			in, err := cmd.StdinPipe()
			if err != nil || cmd.Start() != nil {
				return
			}
			go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
			_ = cmd.Wait()
			_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			_ = channel.Close()
		default:
			_ = r.Reply(false, nil)
		}
	}
}

func (s *server) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = s.work
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *server) commit(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.work, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.git(t, "add", "--all")
	s.git(t, "commit", "--quiet", "--message", "change "+name+"; $(reboot) \x1b[31m")
	return s.git(t, "rev-parse", "HEAD")
}

func TestAnyHostBySSH(t *testing.T) {
	private, public, err := NewKey("hks-shop")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, public)
	first := s.commit(t, "a.txt", "one")
	if err := os.Symlink("/etc/passwd", filepath.Join(s.work, "link")); err != nil {
		t.Fatal(err)
	}
	second := s.commit(t, "b.txt", "two")
	s.git(t, "tag", "--annotate", "--message", "one", "v1", first)

	line, print, err := HostKey(t.Context(), s.url)
	if err != nil || line != s.hostKey || !strings.HasPrefix(print, "SHA256:") {
		t.Fatalf("the server's key: %s %s %v", line, print, err)
	}
	h, err := NewHost(Remote{URL: s.url, Key: private, HostKey: line}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := h.Repository(t.Context(), "x"); err != nil || found.Branch != "main" {
		t.Errorf("%+v %v", found, err)
	}
	commit, changed, err := h.Head(t.Context(), "", "main", first)
	if err != nil || !changed || commit.SHA != second || commit.Author != "Ada" || strings.Contains(commit.Message, "\x1b") || !strings.HasPrefix(commit.Message, "change b.txt") {
		t.Errorf("%+v %v %v", commit, changed, err)
	}
	if _, changed, err := h.Head(t.Context(), "", "main", second); err != nil || changed {
		t.Errorf("the same: %v %v", changed, err)
	}
	if files, all, err := h.Changed(t.Context(), "", first, second); err != nil || all || strings.Join(files, " ") != "b.txt link" {
		t.Errorf("changed %q %v %v", files, all, err)
	}
	if tags, err := h.Tags(t.Context(), ""); err != nil || tags["v1"] != first || len(tags) != 1 {
		t.Errorf("%v %v", tags, err)
	}
	folder := filepath.Join(t.TempDir(), "checkout")
	if err := h.Clone(t.Context(), "", first, folder); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(folder, "a.txt")); err != nil || string(data) != "one" {
		t.Errorf("%q %v", data, err)
	}
	for _, name := range []string{".git", "b.txt"} {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}

	other, _, err := NewKey("other")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		remote Remote
		says   string
	}{
		"a key that is not let in":    {Remote{URL: s.url, Key: other, HostKey: line}, "does not let the deploy key in"},
		"another server in its place": {Remote{URL: s.url, Key: private, HostKey: newServer(t, public).hostKey}, "another key than the one that was pinned"},
	} {
		h, err := NewHost(tt.remote, t.TempDir())
		if err == nil {
			_, _, err = h.Head(t.Context(), "", "main", "")
		}
		if agent.CodeOf(err) != agent.CodeGitHub || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := h.Head(t.Context(), "", "none", ""); agent.CodeOf(err) != agent.CodeGitHub {
		t.Errorf("a branch that is not there: %v", err)
	}
}

func TestTunnelIsForThisGitAlone(t *testing.T) {
	private, public, err := NewKey("hks-shop")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, public)
	s.commit(t, "a.txt", "one")
	tunnel, err := openTunnel(t.Context(), Remote{URL: s.url, Key: private, HostKey: s.hostKey})
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.close()
	cmd := exec.CommandContext(t.Context(), "git", "ls-remote", "git://"+tunnel.listener.Addr().String()+"/octo/hello.git")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("another process read the repository: %s", out)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"git@git.example.com:octo/shop.git": "ssh://git@git.example.com/octo/shop.git", "ssh://git.example.com/x/y": "ssh://git@git.example.com/x/y",
		"https://git.example.com/octo/shop.git": "https://git.example.com/octo/shop.git", "http://127.0.0.1:80/x": "http://127.0.0.1:80/x",
		"http://git.example.com/x": "", "https://u:p@git.example.com/x": "", "ext::sh -c reboot": "", "file:///etc": "", "-oProxyCommand=x": "", "git://x/y": "",
		"ssh://git@h/a'b": "", "https://h/../x": "", "git@h:$(reboot)": "", "/etc": "", "": "", "https://h": "",
	} {
		got, err := ParseURL(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
