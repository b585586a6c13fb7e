package function

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Config is what the manager needs.
type Config struct {
	Store     Store
	Cluster   Cluster
	Workspace Workspace
	Images    Images
	Builder   Builder
	Gateway   Gateway
	Schedules Schedules // nil: a function with a cron trigger is refused

	Dir    string // of sources and archives
	Domain string // functions are at NAME.fn.DOMAIN
	Port   int    // shown in URLs; 0: the usual one

	Publish  func(kind, subject string, object any)
	Activity func(ctx context.Context, activity agent.Activity)
	Now      func() time.Time // default time.Now
	Log      *slog.Logger
}

// Manager owns the functions, their pool of pods and their queue. It is safe
// for concurrent use.
type Manager struct {
	cfg    Config
	pods   *http.Client  // speaks to pods
	wake   chan struct{} // the pool is to be looked at
	letter chan struct{} // a call waits
	turn   chan struct{} // one version is built at a time
	ended  sync.WaitGroup

	mu        sync.Mutex // guards the rest
	ctx       context.Context
	stop      context.CancelFunc
	seq       int64 // of the last table
	functions map[string]*function
	pool      map[string]*pod // by name; free, or with a function
	wanted    map[class]time.Time
	changed   chan struct{}   // closed when the pool changes
	serving   map[string]bool // addresses that the gateway knew when this agent began; nil: not asked yet
}

// function is what is known of one function.
type function struct {
	store.Function
	spec     agent.FunctionSpec // of the version that serves
	digest   string
	claiming int // claims under way
}

// New checks the settings; Start begins the work.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Cluster == nil || cfg.Workspace == nil || cfg.Images == nil || cfg.Builder == nil || cfg.Gateway == nil || cfg.Dir == "" {
		return nil, errors.New("function: Store, Cluster, Workspace, Images, Builder, Gateway and Dir are needed")
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Activity == nil {
		cfg.Activity = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg:  cfg,
		pods: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: specialiseWithin}},
		wake: make(chan struct{}, 1), letter: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		functions: map[string]*function{}, pool: map[string]*pod{}, wanted: map[class]time.Time{}, changed: make(chan struct{}),
	}, nil
}

// Start reads what there is, takes up versions that were not finished, and
// begins to keep the pool and the queue.
func (m *Manager) Start(ctx context.Context) error {
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of functions: %w", err)
	}
	m.mu.Lock()
	if m.ctx != nil {
		m.mu.Unlock()
		return nil
	}
	m.ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	// Later than any table of the agent before.
	m.seq = m.cfg.Now().UnixMilli() * 1000
	running := m.ctx
	m.mu.Unlock()
	if err := m.reload(ctx); err != nil {
		return err
	}
	versions, err := m.cfg.Store.FunctionVersions(ctx, "")
	if err != nil {
		return err
	}
	for _, v := range slices.Backward(versions) {
		if !v.Status.Done() {
			m.begin(v)
		}
	}
	m.followAll(ctx)
	m.ended.Go(func() { m.keepPool(running) })
	m.ended.Go(func() { m.keepQueue(running) })
	return nil
}

// Stop ends the work; functions go on serving.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	stop := m.stop
	m.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	ended := make(chan struct{})
	go func() { defer close(ended); m.ended.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the functions: %w", ctx.Err())
	}
}

// reload reads the functions anew from the store.
func (m *Manager) reload(ctx context.Context) error {
	rows, err := m.cfg.Store.Functions(ctx)
	if err != nil {
		return err
	}
	versions, err := m.cfg.Store.FunctionVersions(ctx, "")
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]*function, len(rows))
	for _, row := range rows {
		f := &function{Function: row}
		if before := m.functions[row.Name]; before != nil {
			f.claiming = before.claiming
		}
		for _, v := range versions {
			if v.Function == row.Name && v.Number == row.Active {
				f.spec, f.digest = v.Spec, v.Digest
			}
		}
		next[row.Name] = f
	}
	m.functions = next
	return nil
}

// Deploy accepts a new version. When it returns, source and version are on disk.
func (m *Manager) Deploy(ctx context.Context, d agent.FunctionDeploy, by string) (agent.FunctionVersion, error) {
	if err := complete(&d); err != nil {
		return agent.FunctionVersion{}, err
	}
	if _, _, err := prepare(d); err != nil {
		return agent.FunctionVersion{}, err
	}
	if err := m.allowed(ctx, d.Spec.Name); err != nil {
		return agent.FunctionVersion{}, err
	}
	if err := m.checkSchedules(ctx, d.Spec); err != nil {
		return agent.FunctionVersion{}, err
	}
	if err := m.cfg.Store.PutFunction(ctx, d.Spec.Name, []byte(rand.Text())); err != nil {
		return agent.FunctionVersion{}, err
	}
	data, err := json.Marshal(d)
	if err != nil {
		return agent.FunctionVersion{}, fmt.Errorf("writing a source: %w", err)
	}
	v, err := m.cfg.Store.AddFunctionVersion(ctx, agent.FunctionVersion{Function: d.Spec.Name, Spec: d.Spec, By: by}, func(number int) error {
		return writeFile(m.sourceFile(d.Spec.Name, number), data)
	})
	if err != nil {
		return v, err
	}
	if err := m.reload(ctx); err != nil {
		return v, err
	}
	m.tell(ctx, "info", v.Function, fmt.Sprintf("version %d of %s accepted", v.Number, v.Function), by)
	m.begin(v)
	return v, nil
}

// allowed refuses a function more than the plan has.
func (m *Manager) allowed(ctx context.Context, name string) error {
	workspace, err := m.cfg.Workspace.Current(ctx)
	if err != nil {
		return err
	}
	rows, err := m.cfg.Store.Functions(ctx)
	if err != nil {
		return err
	}
	limit := workspace.Plan.Functions
	if limit == agent.Unlimited || len(rows) < limit || slices.ContainsFunc(rows, func(f store.Function) bool { return f.Name == name }) {
		return nil
	}
	return &agent.Error{
		Code:    agent.CodePlanLimit,
		Message: fmt.Sprintf("the plan %s allows %d functions, and %d are in use", workspace.Plan.Name, limit, len(rows)),
		Fix:     "delete one that is not needed, or upgrade with: hks plan upgrade pro",
		Details: map[string]any{"used": len(rows), "asked": 1, "limit": limit, "plan": workspace.Plan.Name},
	}
}

// Count is how many functions there are.
func (m *Manager) Count(ctx context.Context) (int64, error) {
	rows, err := m.cfg.Store.Functions(ctx)
	return int64(len(rows)), err
}

// Versions lists the versions of a function, newest first.
func (m *Manager) Versions(ctx context.Context, name string) ([]agent.FunctionVersion, error) {
	if _, err := m.find(name); err != nil {
		return nil, err
	}
	return m.cfg.Store.FunctionVersions(ctx, name)
}

// Source returns what a version was deployed with.
func (m *Manager) Source(ctx context.Context, name string, number int) (agent.FunctionDeploy, error) {
	v, err := m.version(ctx, name, number)
	if err != nil {
		return agent.FunctionDeploy{}, err
	}
	return m.source(v)
}

func (m *Manager) source(v agent.FunctionVersion) (d agent.FunctionDeploy, err error) {
	data, err := os.ReadFile(m.sourceFile(v.Function, v.Number))
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		return d, fmt.Errorf("reading the source of version %d of %s: %w", v.Number, v.Function, err)
	}
	return d, nil
}

func (m *Manager) version(ctx context.Context, name string, number int) (agent.FunctionVersion, error) {
	versions, err := m.Versions(ctx, name)
	if err != nil {
		return agent.FunctionVersion{}, err
	}
	for _, v := range versions {
		if v.Number == number {
			return v, nil
		}
	}
	return agent.FunctionVersion{}, agent.Errorf(agent.CodeNotFound, "hks function versions "+name+" shows what there is", "%s has no version %d", name, number)
}

// Rollback has an earlier version serve again; 0 is the one before.
func (m *Manager) Rollback(ctx context.Context, name string, number int, by string) (agent.FunctionVersion, error) {
	f, err := m.find(name)
	if err != nil {
		return agent.FunctionVersion{}, err
	}
	versions, err := m.cfg.Store.FunctionVersions(ctx, name)
	if err != nil {
		return agent.FunctionVersion{}, err
	}
	for _, v := range versions {
		if v.Status != agent.FunctionReady || v.Number == f.Active || number != 0 && v.Number != number || number == 0 && v.Number > f.Active {
			continue
		}
		if err := m.activate(ctx, v); err != nil {
			return v, err
		}
		m.tell(ctx, "info", name, fmt.Sprintf("%s serves version %d again", name, v.Number), by)
		return v, nil
	}
	return agent.FunctionVersion{}, agent.Errorf(agent.CodeConflict, "hks function versions "+name+" shows what there is", "there is no such earlier version of %s that was ready", name)
}

// SetEnv sets variables and unsets those named; the next call has the new values.
func (m *Manager) SetEnv(ctx context.Context, name string, set map[string]string, unset []string, by string) (agent.Function, error) {
	f, err := m.find(name)
	if err != nil {
		return agent.Function{}, err
	}
	env := make(map[string]string, len(f.Env)+len(set))
	for key, value := range f.Env {
		env[key] = value
	}
	for key, value := range set {
		env[key] = value
	}
	for _, key := range unset {
		delete(env, key)
	}
	if err := checkEnv(env); err != nil {
		return agent.Function{}, err
	}
	if err := m.cfg.Store.SetFunctionEnv(ctx, name, env); err != nil {
		return agent.Function{}, err
	}
	if err := m.renew(ctx); err != nil {
		return agent.Function{}, err
	}
	m.tell(ctx, "info", name, "the environment of "+name+" changed", by)
	return m.Get(ctx, name)
}

// Delete removes a function with its versions, queue and instances.
func (m *Manager) Delete(ctx context.Context, name, by string) error {
	if _, err := m.find(name); err != nil {
		return err
	}
	if err := m.follow(ctx, name, nil, by); err != nil {
		return err
	}
	if err := m.cfg.Store.DeleteFunction(ctx, name); err != nil {
		return err
	}
	if err := m.renew(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(m.cfg.Dir, name)); err != nil {
		return fmt.Errorf("removing the files of %s: %w", name, err)
	}
	m.tell(ctx, "info", name, name+" was deleted", by)
	return nil
}

// activate has a version serve, and the instances of others go.
func (m *Manager) activate(ctx context.Context, v agent.FunctionVersion) error {
	if err := m.cfg.Store.ActivateFunction(ctx, v); err != nil {
		return err
	}
	if err := m.renew(ctx); err != nil {
		return err
	}
	if err := m.follow(ctx, v.Function, v.Spec.Triggers, v.By); err != nil {
		// Its jobs are as before; the version serves.
		m.cfg.Log.Error("the triggers of a function can't be followed", "function", v.Function, "err", err)
		m.tell(ctx, "error", v.Function, fmt.Sprintf("the cron jobs of %s are not as its triggers say: %v", v.Function, err), v.By)
	}
	return nil
}

// renew takes a change of the store up and tells the gateway.
func (m *Manager) renew(ctx context.Context) error {
	if err := m.reload(ctx); err != nil {
		return err
	}
	m.nudge()
	if err := m.push(ctx); err != nil {
		// Told again with each look at the pool.
		m.cfg.Log.Warn("the gateway can't be told of functions", "err", err)
	}
	return nil
}

func (m *Manager) find(name string) (function, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.functions[name]
	if f == nil {
		return function{}, agent.Errorf(agent.CodeNotFound, "hks function list shows what there is", "there is no function %s", name)
	}
	return *f, nil
}

func (m *Manager) sourceFile(name string, number int) string {
	return filepath.Join(m.cfg.Dir, name, strconv.Itoa(number)+".json")
}

func (m *Manager) archiveFile(name, digest string) string {
	return filepath.Join(m.cfg.Dir, name, digest+".tar")
}

// writeFile writes a file that is whole and on disk when it is there.
func writeFile(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}

func (m *Manager) tell(ctx context.Context, level, name, message, by string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: "function/" + name, Message: message, By: by})
	m.cfg.Publish("function", name, nil)
}
