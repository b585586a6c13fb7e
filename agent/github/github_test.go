package github

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
	double "hks.dev/hks/test/github"
)

func TestA36WebhooksAreVerified(t *testing.T) {
	const secret = "a secret"
	body := `{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"}}`
	sha1 := "sha1=0000000000000000000000000000000000000000"
	for name, tt := range map[string]struct {
		secret, body, signature string
		want                    error
	}{
		"signed":              {secret, body, double.Sign([]byte(body), secret), nil},
		"tampered":            {secret, body + " ", double.Sign([]byte(body), secret), ErrForged},
		"unsigned":            {secret, body, "", ErrForged},
		"SHA-1 only":          {secret, body, sha1, ErrForged},
		"no secret, unsigned": {"", body, "", ErrForged},
		"no secret, signed":   {"", body, double.Sign([]byte(body), ""), ErrForged},
		"by another":          {secret, body, double.Sign([]byte(body), "guess"), ErrForged},
		"oversized":           {secret, strings.Repeat(" ", MaxPayload+1), double.Sign([]byte(body), secret), ErrOversized},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-GitHub-Event", "push")
			if tt.signature != "" {
				r.Header.Set("X-Hub-Signature-256", tt.signature)
			}
			r.Header.Set("X-Hub-Signature", sha1)
			hook, err := ReadHook(r, tt.secret)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && (hook.Ref != "refs/heads/main" || hook.Repository != "octo/hello" || hook.Event != "push") {
				t.Errorf("got %+v", hook)
			}
		})
	}
}

func TestA30CommitIsFoundAndCloned(t *testing.T) {
	d, err := double.New(t.Context(), t.TempDir(), "octo/hello")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	folder := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "a.txt"), []byte("hello"), 0o600), os.Symlink("/etc/passwd", filepath.Join(folder, "link"))); err != nil {
		t.Fatal(err)
	}
	sha, err := d.Push(t.Context(), folder, "$(reboot)")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: d.API(), Token: double.Token})
	if err != nil {
		t.Fatal(err)
	}
	commit, changed, err := c.Head(t.Context(), d.Name, "main", "")
	if err != nil || !changed || commit.SHA != sha {
		t.Fatalf("got %+v, %v, %v; want %s", commit, changed, err, sha)
	}
	if _, changed, err := c.Head(t.Context(), d.Name, "main", sha); err != nil || changed {
		t.Errorf("the same branch: changed %v, %v", changed, err)
	}
	if _, same := d.Asked(); same != 1 {
		t.Errorf("%d answers were 304", same)
	}
	if address, basic, err := c.CloneFrom(t.Context(), d.Name); err != nil || basic != "x-access-token:"+double.Token || !strings.HasSuffix(address, "/octo/hello.git") {
		t.Errorf("it is cloned from %s: %v", address, err)
	}
	d.Refuse("/statuses/")
	if err := c.SetStatus(t.Context(), d.Name, sha, "success", "fine", ""); agent.CodeOf(err) != agent.CodeGitHub || !strings.Contains(err.Error(), "Commit statuses") {
		t.Errorf("A33 the missing permission is not named: %v", err)
	}
}

func TestHostileNamesAreRefused(t *testing.T) {
	for _, name := range []string{"", "octo", "octo/..", "-o/x", "octo/a b", "octo/$(reboot)", "https://x/y", "octo/a/b"} {
		if ValidateRepository(name) == nil {
			t.Errorf("%q is taken for a repository", name)
		}
	}
	for _, name := range []string{"", "-f", "a..b", "a b", "$(reboot)", "a;b", "a/", "a.lock", "@{1}", "a//b"} {
		if ValidateBranch(name) == nil {
			t.Errorf("%q is taken for a branch", name)
		}
	}
	for _, url := range []string{"http://github.example.com/", "ftp://x/", "https://u:p@x/", "nothing"} {
		if _, err := New(Config{URL: url, Token: "x"}); err == nil {
			t.Errorf("%q is taken for GitHub", url)
		}
	}
}
