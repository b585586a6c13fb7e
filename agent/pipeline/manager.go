package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/github"
)

const (
	pollEvery   = 30 * time.Second
	atATime     = 4  // runs; those of branches before those of pull requests
	mostWaiting = 20 // runs of forks, of one pipeline, that wait for approval
	lookTimeout = 30 * time.Second
	runDeadline = 45 * time.Minute
	stepPoll    = 500 * time.Millisecond // between two looks at a build or a release
	mostQueued  = 50                     // runs that wait, of all pipelines
)

// Config is what the manager needs.
type Config struct {
	Store      Store
	Dial       func(g agent.GitHub, secret string) (Host, error) // secret: a token, or the key of g.App
	GitHubApps GitHubApps                                        // nil: there is no way to make one
	Remotes    Remotes                                           // nil: GitHub only
	Builds     Builder
	Apps       Apps

	Dir      string // of checkouts
	Publish  func(kind, subject string, object any)
	Activity func(ctx context.Context, activity agent.Activity)
	// Ended is told of each run that ended, with the one before it of the same
	// pipeline, so that failed and fixed can be told apart. May be nil.
	Ended func(ctx context.Context, run agent.Run, before *agent.Run)
	// Notice tells the owner, by the channels, what is no incident. May be nil.
	Notice func(ctx context.Context, text string)

	Now func() time.Time // default time.Now
	Log *slog.Logger
}

// Manager looks after pipelines and their runs: one at a time of each
// pipeline, the newest commit next.
type Manager struct {
	cfg   Config
	ended sync.WaitGroup

	mu      sync.Mutex // guards the rest
	ctx     context.Context
	stop    context.CancelFunc
	host    Host                              // nil: not connected, or not known yet
	looks   map[string]chan string            // by pipeline: holds the trigger of a look that is asked for
	running map[int64]context.CancelCauseFunc // by run
	busy    map[string]bool                   // by the app that is built
	setups  map[string]setup                  // Apps that are being made, by state
	removes map[string]bool                   // previews that are being removed, by app
	loops   map[string]context.CancelFunc     // by pipeline
}

var errCancelled = errors.New("cancelled")

// New checks the settings; Start begins the work.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Dial == nil || cfg.Builds == nil || cfg.Apps == nil || cfg.Dir == "" {
		return nil, errors.New("pipeline: Store, Dial, Builds, Apps and Dir are needed")
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Activity == nil {
		cfg.Activity = func(context.Context, agent.Activity) {}
	}
	if cfg.Ended == nil {
		cfg.Ended = func(context.Context, agent.Run, *agent.Run) {}
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg: cfg, looks: map[string]chan string{}, running: map[int64]context.CancelCauseFunc{}, busy: map[string]bool{}, removes: map[string]bool{}, setups: map[string]setup{}, loops: map[string]context.CancelFunc{},
	}, nil
}

// Start takes up unfinished runs and begins to look at the branches.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.ctx != nil {
		m.mu.Unlock()
		return nil
	}
	m.ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Unlock()
	// Checkouts are of use to the run only that made them, and that begins again.
	if err := errors.Join(os.RemoveAll(m.cfg.Dir), os.MkdirAll(m.cfg.Dir, 0o700)); err != nil {
		return fmt.Errorf("making the folder of checkouts: %w", err)
	}
	pipelines, err := m.cfg.Store.Pipelines(ctx)
	if err != nil {
		return err
	}
	for _, p := range pipelines {
		m.watch(p.Name)
	}
	m.ended.Go(func() { m.sweep(m.ctx) })
	return m.next(ctx)
}

// Stop interrupts the runs; the next Start takes them up again.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	if m.stop == nil {
		m.mu.Unlock()
		return nil
	}
	m.stop() // with the lock: nothing begins after it
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() { defer close(ended); m.ended.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the pipelines: %w", ctx.Err())
	}
}

// Create checks a pipeline against the repository, installs its webhook where
// GitHub can reach this appliance, and begins the first run.
func (m *Manager) Create(ctx context.Context, p agent.Pipeline, by string) (agent.Pipeline, error) {
	if err := check(p); err != nil {
		return agent.Pipeline{}, err
	}
	if _, err := m.Get(ctx, p.Name); err == nil {
		return agent.Pipeline{}, taken(p.Name)
	}
	if p.Remote != "" {
		return m.createRemote(ctx, p, by)
	}
	host, err := m.connected(ctx)
	if err != nil {
		return agent.Pipeline{}, err
	}
	repository, err := host.Repository(ctx, p.Repository)
	if err != nil {
		return agent.Pipeline{}, err
	}
	if p.Branch == "" {
		p.Branch = repository.Branch
	}
	if err := github.ValidateBranch(p.Branch); err != nil {
		return agent.Pipeline{}, err
	}
	commit, _, err := host.Head(ctx, p.Repository, p.Branch, "")
	if err != nil {
		return agent.Pipeline{}, err
	}
	secret := rand.Text()
	p.Head, p.HookID, p.HookNote, p.PollNote, p.Variables, p.CreatedAt = "", 0, "", "", nil, m.cfg.Now().UTC()
	added, err := m.cfg.Store.AddPipeline(ctx, p, secret)
	if err == nil && !added {
		err = taken(p.Name)
	}
	if err != nil {
		return agent.Pipeline{}, err
	}
	if err := m.noteTags(ctx, host, p); err != nil {
		return agent.Pipeline{}, errors.Join(err, m.cfg.Store.RemovePipeline(ctx, p.Name))
	}
	m.hook(ctx, host, &p, secret)
	if err := m.cfg.Store.UpdatePipeline(ctx, p); err != nil {
		return agent.Pipeline{}, err
	}
	m.tell(ctx, "info", p.Name, fmt.Sprintf("pipeline for %s, branch %s, created", p.Repository, p.Branch), by)
	if _, err := m.accept(ctx, p, agent.Run{Commit: commit, Trigger: "manual", By: by}, false); err != nil {
		return agent.Pipeline{}, err
	}
	m.watch(p.Name)
	return m.Get(ctx, p.Name)
}

// hook installs the webhook. Without one the branch is looked at all the same,
// so that a missing permission is a note and no failure.
func (m *Manager) hook(ctx context.Context, host Host, p *agent.Pipeline, secret string) {
	g, _, err := m.cfg.Store.GitHub(ctx)
	if err == nil && g.HookURL == "" {
		p.HookNote = "no address for webhooks was given; the branch is looked at every 30 s"
		return
	}
	if err == nil {
		p.HookID, err = host.AddHook(ctx, p.Repository, g.HookURL+"/api/hooks/github/"+p.Name, secret)
	}
	if err != nil {
		p.HookNote = err.Error()
	}
}

func taken(name string) error {
	return agent.Errorf(agent.CodeConflict, "name another app, or delete it: hks pipeline delete "+name, "there is a pipeline %s already", name)
}

func check(p agent.Pipeline) error {
	if err := agent.ValidateName("pipeline", p.Name); err != nil {
		return err
	}
	if p.Remote == "" {
		if err := github.ValidateRepository(p.Repository); err != nil {
			return err
		}
	}
	if p.Branch != "" {
		if err := github.ValidateBranch(p.Branch); err != nil {
			return err
		}
	}
	return checkSettings(p)
}

// Edit changes the settings of a pipeline, all of them; an empty branch stays
// as it was.
func (m *Manager) Edit(ctx context.Context, change agent.Pipeline, by string) (agent.Pipeline, error) {
	p, err := m.Get(ctx, change.Name)
	if err != nil {
		return agent.Pipeline{}, err
	}
	tags := p.PromoteTags
	p = edited(p, change)
	if err := check(p); err != nil {
		return agent.Pipeline{}, err
	}
	if change.HostKey != "" && p.Remote != "" && m.cfg.Remotes != nil {
		if p.HostPrint, err = m.cfg.Remotes.Fingerprint(p.HostKey); err != nil {
			return agent.Pipeline{}, agent.Errorf(agent.CodeInvalid, "give it as a line of known_hosts without the host", "that is no key of an SSH server")
		}
	}
	if p.PromoteTags != tags && p.PromoteTags != "" {
		host, err := m.hostOf(ctx, p)
		if err == nil {
			err = m.noteTags(ctx, host, p)
		}
		if err != nil {
			return agent.Pipeline{}, err
		}
	}
	if err := m.cfg.Store.UpdatePipeline(ctx, p); err != nil {
		return agent.Pipeline{}, err
	}
	m.tell(ctx, "info", p.Name, "pipeline changed", by)
	m.ask(p.Name, "poll")
	return p, nil
}

// List returns all pipelines.
func (m *Manager) List(ctx context.Context) ([]agent.Pipeline, error) {
	all, err := m.cfg.Store.Pipelines(ctx)
	for i := range all {
		if err == nil {
			all[i].Variables, err = m.variables(ctx, all[i].Name)
		}
	}
	return all, err
}

// Get returns one pipeline.
func (m *Manager) Get(ctx context.Context, name string) (agent.Pipeline, error) {
	all, err := m.cfg.Store.Pipelines(ctx)
	if err != nil {
		return agent.Pipeline{}, err
	}
	for _, p := range all {
		if p.Name == name {
			p.Variables, err = m.variables(ctx, name)
			return p, err
		}
	}
	return agent.Pipeline{}, agent.Errorf(agent.CodeNotFound, "hks pipeline list shows what there is", "there is no pipeline %s", name)
}

// Delete cancels what runs and forgets a pipeline, with its webhook. The app and the
// history of runs stay.
func (m *Manager) Delete(ctx context.Context, name, by string) error {
	p, err := m.Get(ctx, name)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if end := m.loops[name]; end != nil {
		end()
	}
	delete(m.loops, name)
	delete(m.looks, name)
	m.mu.Unlock()
	if err := m.cfg.Store.RemovePipeline(ctx, name); err != nil {
		return err
	}
	runs, err := m.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Pipeline != name {
			continue
		}
		if _, err := m.Cancel(ctx, r.ID, by); err != nil && agent.CodeOf(err) != agent.CodeConflict {
			return err
		}
	}
	if host, err := m.connected(ctx); p.HookID != 0 && err == nil {
		if err := host.RemoveHook(ctx, p.Repository, p.HookID); err != nil {
			m.tell(ctx, "warning", name, "the webhook stays at GitHub: "+err.Error(), by)
		}
	}
	m.tell(ctx, "info", name, "pipeline deleted", by)
	return nil
}

// Deliveries lists what came in by a pipeline's webhook.
func (m *Manager) Deliveries(ctx context.Context, name string) ([]agent.Delivery, error) {
	if _, err := m.Get(ctx, name); err != nil {
		return nil, err
	}
	return m.cfg.Store.Deliveries(ctx, name)
}

// Receive takes one call of a webhook, whoever makes it, and writes it into
// the ledger. The outcome is what the sender is told.
func (m *Manager) Receive(ctx context.Context, name string, r *http.Request) (agent.Delivery, error) {
	d := agent.Delivery{Pipeline: name, ID: header(r, "X-GitHub-Delivery"), Event: header(r, "X-GitHub-Event"), Outcome: "accepted"}
	if err := agent.ValidateName("pipeline", name); err != nil {
		return d, err
	}
	secret, ok, err := m.cfg.Store.HookSecret(ctx, name)
	if err != nil {
		return d, err
	}
	if !ok {
		return d, agent.Errorf(agent.CodeNotFound, "", "there is no such webhook")
	}
	hook, err := github.ReadHook(r, secret)
	p, missing := m.Get(ctx, name)
	switch {
	case errors.Is(err, github.ErrOversized):
		d.Outcome, d.Why = "oversized", err.Error()
	case errors.Is(err, github.ErrForged):
		d.Outcome, d.Why = "forged", err.Error()
	case err != nil:
		d.Outcome, d.Why = "ignored", err.Error()
	case missing != nil:
		return d, missing
	case d.ID == "":
		d.Outcome, d.Why = "ignored", "it has no X-GitHub-Delivery"
	case d.Event != "push" && d.Event != "pull_request":
		d.Outcome, d.Why = "ignored", "only pushes and pull requests start runs"
	case !strings.EqualFold(hook.Repository, p.Repository):
		d.Outcome, d.Why = "ignored", "it is of another repository"
	case d.Event == "pull_request":
		if !p.PullRequests {
			d.Outcome, d.Why = "ignored", "pull requests are not built"
		}
	case strings.HasPrefix(hook.Ref, "refs/tags/") && p.PromoteTags != "" && !hook.Deleted:
	case hook.Ref != "refs/heads/"+p.Branch || hook.Deleted:
		d.Outcome, d.Why = "ignored", "it is not a push to "+p.Branch
	}
	fresh, err := m.cfg.Store.AddDelivery(ctx, d)
	if err != nil {
		return d, err
	}
	if d.Outcome == "accepted" && !fresh {
		d.Outcome = "duplicate"
	}
	if d.Outcome == "accepted" {
		m.ask(name, "webhook")
	}
	return d, nil
}

// header is a header of a stranger's, bounded.
func header(r *http.Request, name string) string {
	text := strings.ToValidUTF8(r.Header.Get(name), "")
	return text[:min(len(text), 64)]
}

func (m *Manager) tell(ctx context.Context, level, subject, message, by string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: "pipeline/" + subject, Message: message, By: by})
}
