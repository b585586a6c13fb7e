package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"hks.dev/hks/agent"
)

// PublicURL is the API of github.com.
const PublicURL = "https://api.github.com/"

const (
	callTimeout = 20 * time.Second // of one request
	mostPages   = 10               // of repositories, 100 each
)

// Config says which GitHub, and as whom.
type Config struct {
	URL   string // of the API; plain HTTP only on the loopback
	Token string // fine-grained personal access token; empty: App is taken
	App   App
}

// Client speaks to GitHub. It is safe for concurrent use.
type Client struct {
	cfg    Config
	base   *url.URL
	client *gh.Client

	installation *ghinstallation.AppsTransport // nil: by token

	mu    sync.Mutex        // guards the rest
	etags map[string]string // by repository and branch
}

// New checks the settings; nothing is dialled.
func New(cfg Config) (*Client, error) {
	base, err := apiURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, base: base, etags: map[string]string{}}
	// GitHub redirects for renamed repositories; the token stays with its host.
	plain := &http.Client{Timeout: callTimeout, CheckRedirect: stay(base)}
	switch {
	case cfg.App.ID != 0:
		if c.installation, err = appTransport(base, cfg.App); err != nil {
			return nil, err
		}
		plain.Transport = c.newInstallation()
		c.client = gh.NewClient(plain)
	case cfg.Token == "" || strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, agent.Errorf(agent.CodeInvalid, "make one at GitHub: Settings, Developer settings, Fine-grained tokens", "a token is needed to connect GitHub")
	default:
		c.client = gh.NewClient(plain).WithAuthToken(cfg.Token)
	}
	c.client.BaseURL = base
	return c, nil
}

// apiURL checks the address of an API; empty is github.com's.
func apiURL(text string) (*url.URL, error) {
	if text == "" {
		text = PublicURL
	}
	base, err := url.Parse(strings.TrimSuffix(text, "/") + "/")
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || !(base.Scheme == "https" || base.Scheme == "http" && loopback(base.Hostname())) {
		return nil, agent.Errorf(agent.CodeInvalid, "give it as https://HOST/api/v3/", "%q is not the address of GitHub's API", text)
	}
	return base, nil
}

// stay follows redirects to the same host only.
func stay(base *url.URL) func(r *http.Request, via []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || r.URL.Host != base.Host || r.URL.Scheme != base.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is the API's address.
func (c *Client) URL() string { return c.base.String() }

// Login tells whose token it is.
func (c *Client) Login(ctx context.Context) (string, error) {
	if c.installation != nil {
		about, _, err := Installed(ctx, c.base.String(), c.cfg.App)
		return about.Slug, err
	}
	user, _, err := c.client.Users.Get(ctx, "")
	if err != nil {
		return "", explain(err, "", "")
	}
	return user.GetLogin(), nil
}

// Repositories lists what the token can see.
func (c *Client) Repositories(ctx context.Context) ([]agent.GitRepository, error) {
	var all []agent.GitRepository
	if c.installation != nil {
		options := &gh.ListOptions{PerPage: 100}
		for range mostPages {
			page, answer, err := c.client.Apps.ListRepos(ctx, options)
			if err != nil {
				return nil, explain(err, "", "Metadata: read")
			}
			for _, r := range page.Repositories {
				all = append(all, agent.GitRepository{Name: r.GetFullName(), Branch: r.GetDefaultBranch(), Private: r.GetPrivate()})
			}
			if options.Page = answer.NextPage; options.Page == 0 {
				break
			}
		}
		return all, nil
	}
	options := &gh.RepositoryListByAuthenticatedUserOptions{Sort: "pushed", ListOptions: gh.ListOptions{PerPage: 100}}
	for range mostPages {
		page, answer, err := c.client.Repositories.ListByAuthenticatedUser(ctx, options)
		if err != nil {
			return nil, explain(err, "", "Metadata: read")
		}
		for _, r := range page {
			all = append(all, agent.GitRepository{Name: r.GetFullName(), Branch: r.GetDefaultBranch(), Private: r.GetPrivate()})
		}
		if options.Page = answer.NextPage; options.Page == 0 {
			break
		}
	}
	return all, nil
}

// Repository looks one repository up.
func (c *Client) Repository(ctx context.Context, name string) (agent.GitRepository, error) {
	owner, repo, err := split(name)
	if err != nil {
		return agent.GitRepository{}, err
	}
	r, _, err := c.client.Repositories.Get(ctx, owner, repo)
	if err != nil {
		return agent.GitRepository{}, explain(err, name, "Metadata: read")
	}
	return agent.GitRepository{Name: r.GetFullName(), Branch: r.GetDefaultBranch(), Private: r.GetPrivate()}, nil
}

// Head returns the newest commit of a branch. With known set to the commit that
// the caller has, changed is false when it still is the newest; a question
// that GitHub answers with 304 costs none of the hour's requests.
func (c *Client) Head(ctx context.Context, name, branch, known string) (commit agent.Commit, changed bool, err error) {
	owner, repo, err := split(name)
	if err != nil {
		return agent.Commit{}, false, err
	}
	request, err := c.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/commits/%s", owner, repo, url.PathEscape("heads/"+branch)), nil)
	if err != nil {
		return agent.Commit{}, false, fmt.Errorf("asking for a branch: %w", err)
	}
	key := name + "\n" + branch + "\n" + known
	c.mu.Lock()
	if etag := c.etags[key]; etag != "" && known != "" {
		request.Header.Set("If-None-Match", etag)
	}
	c.mu.Unlock()
	var found gh.RepositoryCommit
	answer, err := c.client.Do(ctx, request, &found)
	if answer != nil && answer.StatusCode == http.StatusNotModified {
		return agent.Commit{SHA: known}, false, nil
	}
	if err != nil {
		return agent.Commit{}, false, explain(err, name, "Contents: read")
	}
	if !shaGrammar.MatchString(found.GetSHA()) {
		return agent.Commit{}, false, agent.Errorf(agent.CodeInternal, "see that the URL is that of a GitHub", "what answers for %s names no commit", name)
	}
	c.mu.Lock()
	c.etags[name+"\n"+branch+"\n"+found.GetSHA()] = answer.Header.Get("ETag")
	if known != found.GetSHA() {
		delete(c.etags, key)
	}
	c.mu.Unlock()
	message, _, _ := strings.Cut(found.GetCommit().GetMessage(), "\n")
	return agent.Commit{
		SHA: found.GetSHA(), Message: clip(message), Author: clip(found.GetCommit().GetAuthor().GetName()), URL: webURL(found.GetHTMLURL()),
	}, found.GetSHA() != known, nil
}

// AddHook installs a webhook for pushes and pull requests, and returns its id.
func (c *Client) AddHook(ctx context.Context, name, target, secret string) (int64, error) {
	owner, repo, err := split(name)
	if err != nil {
		return 0, err
	}
	if secret == "" {
		return 0, errors.New("a webhook needs a secret")
	}
	hook, _, err := c.client.Repositories.CreateHook(ctx, owner, repo, &gh.Hook{
		Events: []string{"push", "pull_request"}, Active: gh.Bool(true),
		// The appliance's certificate is its own; what is sent is signed, and
		// taken as a hint to look at the branch only.
		Config: &gh.HookConfig{URL: &target, ContentType: gh.String("json"), Secret: &secret, InsecureSSL: gh.String("1")},
	})
	if err != nil {
		return 0, explain(err, name, "Webhooks: read and write")
	}
	return hook.GetID(), nil
}

// RemoveHook removes a webhook; one that is gone is fine.
func (c *Client) RemoveHook(ctx context.Context, name string, id int64) error {
	owner, repo, err := split(name)
	if err != nil {
		return err
	}
	if answer, err := c.client.Repositories.DeleteHook(ctx, owner, repo, id); err != nil && (answer == nil || answer.StatusCode != http.StatusNotFound) {
		return explain(err, name, "Webhooks: read and write")
	}
	return nil
}

// SetStatus puts a status at a commit: pending, success, failure or error.
func (c *Client) SetStatus(ctx context.Context, name, sha, state, words, target string) error {
	owner, repo, err := split(name)
	if err != nil {
		return err
	}
	status := &gh.RepoStatus{State: &state, Description: gh.String(clip(words)), Context: gh.String("hks/staging")}
	if target != "" {
		status.TargetURL = &target
	}
	if _, _, err := c.client.Repositories.CreateStatus(ctx, owner, repo, sha, status); err != nil {
		return explain(err, name, "Commit statuses: read and write")
	}
	return nil
}

var (
	repositoryGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}$`)
	branchGrammar     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@#=-]{0,199}$`)
	shaGrammar        = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// ValidateRepository checks OWNER/NAME.
func ValidateRepository(name string) error {
	if _, repo, _ := strings.Cut(name, "/"); !repositoryGrammar.MatchString(name) || repo == "." || repo == ".." {
		return agent.Errorf(agent.CodeInvalid, "hks github repos lists what the token can see", "%q is not a repository: it is written OWNER/NAME", name)
	}
	return nil
}

// ValidateBranch checks the name of a branch (git check-ref-format, less what
// nobody uses).
func ValidateBranch(name string) error {
	if !branchGrammar.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "//") || strings.Contains(name, "@{") ||
		strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".") || strings.Contains(name, "/.") {
		return agent.Errorf(agent.CodeInvalid, "name it as git does, such as main", "%q is not the name of a branch", name)
	}
	return nil
}

func split(name string) (owner, repo string, err error) {
	if err := ValidateRepository(name); err != nil {
		return "", "", err
	}
	owner, repo, _ = strings.Cut(name, "/")
	return owner, repo, nil
}

// clip makes strangers' text fit for one line, and for what GitHub takes as a
// status' description (140 characters).
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if runes := []rune(text); len(runes) > 140 {
		return string(runes[:139]) + "…"
	}
	return text
}

func webURL(text string) string {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return text
}
