package function

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

const (
	buildWithin = 10 * time.Minute
	maxPackage  = 50 << 20 // bytes of an archive
)

// begin has a version built, tried and switched to, one at a time.
func (m *Manager) begin(v agent.FunctionVersion) {
	m.background(func(ctx context.Context) {
		select {
		case m.turn <- struct{}{}:
			defer func() { <-m.turn }()
		case <-ctx.Done():
			return // the next start takes it up
		}
		err := m.ready(ctx, v)
		if err == nil || ctx.Err() != nil {
			return
		}
		v.Status, v.Failure = agent.FunctionFailed, m.failure(v, err)
		if err := m.cfg.Store.UpdateFunctionVersion(ctx, v); err != nil {
			m.cfg.Log.Error("the end of a version can't be kept; it begins again at the next start", "function", v.Function, "version", v.Number, "err", err)
		}
		m.tell(ctx, "error", v.Function, fmt.Sprintf("version %d of %s failed; what served before serves on: %s", v.Number, v.Function, v.Failure.Message), v.By)
	})
}

func (m *Manager) failure(v agent.FunctionVersion, err error) *agent.Failure {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return &agent.Failure{Code: e.Code, Message: e.Message, Fix: e.Fix, Logs: logsOf(e)}
	}
	m.cfg.Log.Error("a version met a fault of ours", "function", v.Function, "version", v.Number, "err", err)
	return &agent.Failure{Code: agent.CodeInternal, Message: "hks met a fault of its own", Fix: "the agent's log says more; deploy again"}
}

// logsOf are the last lines that a failed step wrote.
func logsOf(e *agent.Error) []string {
	lines, _ := e.Details["lines"].([]string)
	return lines
}

// ready builds the version, loads it in a pod and, when that worked, switches
// to it. That pod is its first instance.
func (m *Manager) ready(ctx context.Context, v agent.FunctionVersion) error {
	d, err := m.source(v)
	if err != nil {
		return err
	}
	if err := m.step(ctx, &v, agent.FunctionBuilding); err != nil {
		return err
	}
	if v.Digest, err = m.archive(ctx, d); err != nil {
		return err
	}
	if err := m.step(ctx, &v, agent.FunctionTrying); err != nil {
		return err
	}
	f, err := m.find(v.Function)
	if err != nil {
		return err
	}
	p, err := m.specialise(ctx, target{v.Function, v.Spec, v.Digest, f.Env, v.Number, trial})
	if err != nil {
		return withMissing(err, &f, v.Spec)
	}
	if err := m.activate(ctx, v); err != nil {
		m.background(func(ctx context.Context) { m.remove(ctx, p.name) })
		return err
	}
	m.tell(ctx, "info", v.Function, fmt.Sprintf("%s serves version %d", v.Function, v.Number), v.By)
	return m.adoptTrial(ctx, p, f.Revision+1)
}

// withMissing says which variables were not set when a version could not be
// loaded: that may be why.
func withMissing(err error, f *function, spec agent.FunctionSpec) error {
	e, ok := errors.AsType[*agent.Error](err)
	missing := missingOf(&function{Function: f.Function, spec: spec})
	if !ok || e.Code != agent.CodeFunctionFailed || len(missing) == 0 {
		return err
	}
	told := *e
	told.Fix = fmt.Sprintf("it requires %s, which is not set: hks function env set %s %s=VALUE, then deploy again", strings.Join(missing, " and "), f.Name, missing[0])
	return &told
}

// adoptTrial makes the pod in which a version was tried its first instance,
// unless the function was changed meanwhile, or lacks variables: each call of it
// is told which.
func (m *Manager) adoptTrial(ctx context.Context, p *pod, revision int) error {
	m.mu.Lock()
	f := m.functions[p.function]
	same := f != nil && f.Revision == revision && len(missingOf(f)) == 0
	if same {
		p.revision = revision
	}
	marked := *p
	m.mu.Unlock()
	if !same {
		m.remove(ctx, p.name)
		return nil
	}
	if err := m.mark(ctx, marked); err != nil {
		m.cfg.Log.Warn("an instance can't be marked; it will be replaced after a restart", "pod", p.name, "err", err)
	}
	if err := m.push(ctx); err != nil {
		m.cfg.Log.Warn("the gateway can't be told of functions", "err", err)
	}
	return nil
}

func (m *Manager) step(ctx context.Context, v *agent.FunctionVersion, status agent.FunctionVersionStatus) error {
	v.Status = status
	if err := m.cfg.Store.UpdateFunctionVersion(ctx, *v); err != nil {
		return err
	}
	m.cfg.Publish("function", v.Function, *v)
	return nil
}

// archive has the builder resolve the dependencies, and keeps what comes of it
// under its digest.
func (m *Manager) archive(ctx context.Context, d agent.FunctionDeploy) (digest string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildWithin)
	defer cancel()
	dockerfile, files, err := prepare(d)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(m.cfg.Dir, ".build-")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }() // swept again by the next start of the machine at the latest
	for name, content := range files {
		if err := writeFile(filepath.Join(work, "source", filepath.FromSlash(name)), content); err != nil {
			return "", err
		}
	}
	made := filepath.Join(work, "archive.tar")
	_, err = m.cfg.Builder.Solve(ctx, buildkit.Job{
		Key: "function/" + d.Spec.Name, Mounts: "function/" + d.Spec.Name, Context: filepath.Join(work, "source"), Dockerfile: dockerfile, Archive: made,
	}, func(buildkit.Event) {})
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(made)
	if err != nil {
		return "", fmt.Errorf("reading the archive: %w", err)
	}
	if len(data) > maxPackage {
		return "", agent.Errorf(agent.CodeTooLarge, "leave dependencies out that are not needed", "%s is %d MB with its dependencies, more than the %d MB allowed", d.Spec.Name, len(data)>>20, maxPackage>>20)
	}
	sum := sha256.Sum256(data)
	digest = hex.EncodeToString(sum[:])
	if kept, err := os.ReadFile(m.archiveFile(d.Spec.Name, digest)); err == nil && bytes.Equal(kept, data) {
		return digest, nil
	}
	return digest, writeFile(m.archiveFile(d.Spec.Name, digest), data)
}
