package function

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	podWithin        = 60 * time.Second // until a pod is free
	specialiseWithin = 40 * time.Second // until a pod has its function
	maxTries         = 3                // pods that are lost on the way
)

// trial is the revision of a pod with a version that does not serve yet.
const trial = -1

// target is what a pod is to become.
type target struct {
	function string
	spec     agent.FunctionSpec
	digest   string
	env      map[string]string
	version  int
	revision int
}

// Claim gives the function one more instance and returns its address, with the
// sequence that the next table will have at least.
func (m *Manager) Claim(ctx context.Context, name string) (address string, seq int64, err error) {
	t, err := m.reserve(name)
	if err != nil {
		return "", 0, err
	}
	p, err := m.specialise(ctx, t)
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.functions[name]; f != nil {
		f.claiming--
	}
	if err != nil {
		return "", 0, err
	}
	m.seq++
	m.later(func(context.Context) { m.nudge() })
	return p.address(), m.seq, nil
}

// afterCall is how long what follows a claim is left: it would compete for the
// processors with the call that waits for the instance.
const afterCall = 300 * time.Millisecond

// later is background, after a while.
func (m *Manager) later(work func(context.Context)) {
	go m.background(func(ctx context.Context) {
		select {
		case <-time.After(afterCall):
			work(ctx)
		case <-ctx.Done():
		}
	})
}

// reserve counts a claim in, or refuses it.
func (m *Manager) reserve(name string) (target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.functions[name]
	if f == nil || f.Active == 0 {
		return target{}, agent.Errorf(agent.CodeNotFound, "hks function list shows what there is", "there is no function %s that serves", name)
	}
	if missing := missingOf(f); len(missing) > 0 {
		return target{}, agent.Errorf(agent.CodeVariableMissing, "set it with: hks function env set "+name+" "+missing[0]+"=VALUE",
			"the function %s requires %s, which is not set", name, strings.Join(missing, " and "))
	}
	if len(m.instances(f))+f.claiming >= f.spec.MaxInstances {
		return target{}, agent.Errorf(agent.CodeTooMany, "try again in a moment, or raise maxInstances", "all %d instances of %s are busy", f.spec.MaxInstances, name)
	}
	f.claiming++
	return target{name, f.spec, f.digest, f.Env, f.Active, f.Revision}, nil
}

func missingOf(f *function) []string {
	var missing []string
	for _, name := range f.spec.Requires {
		if _, ok := f.Env[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// instances are the pods that serve the function as it is now. With the lock.
func (m *Manager) instances(f *function) []*pod {
	var list []*pod
	for _, p := range m.pool {
		if p.function == f.Name && p.revision == f.Revision && p.retired.IsZero() {
			list = append(list, p)
		}
	}
	return list
}

// specialise makes an instance of a free pod.
func (m *Manager) specialise(ctx context.Context, t target) (*pod, error) {
	ctx, cancel := context.WithTimeout(ctx, podWithin+specialiseWithin)
	defer cancel()
	var last error
	for range maxTries {
		p, err := m.take(ctx, class{t.spec.Runtime, t.spec.Memory})
		if err != nil {
			return nil, err
		}
		refused, err := m.hand(ctx, p, t)
		if err == nil {
			m.mu.Lock()
			p.function, p.version, p.revision = t.function, t.version, t.revision
			marked := *p
			m.mu.Unlock()
			if t.revision == trial {
				return p, nil
			}
			m.later(func(ctx context.Context) {
				if err := m.mark(ctx, marked); err != nil {
					m.cfg.Log.Warn("an instance can't be marked; it will be replaced after a restart", "pod", marked.name, "err", err)
				}
			})
			return p, nil
		}
		m.background(func(ctx context.Context) { m.remove(ctx, p.name) })
		if refused {
			return nil, err
		}
		last = err
	}
	return nil, fmt.Errorf("giving a pod the function %s: %w", t.function, last)
}

// background runs work that nobody waits for; it ends with the manager.
func (m *Manager) background(work func(context.Context)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return
	}
	ctx := m.ctx
	m.ended.Go(func() { work(ctx) })
}

// take takes a free pod of the class, and waits for one.
func (m *Manager) take(ctx context.Context, c class) (*pod, error) {
	limited, cancel := context.WithTimeout(ctx, podWithin)
	defer cancel()
	for looked := false; ; {
		m.mu.Lock()
		m.wanted[c] = m.cfg.Now()
		for _, p := range m.pool {
			if p.class == c && p.ready && !p.taken && p.retired.IsZero() {
				p.taken = true
				m.mu.Unlock()
				return p, nil
			}
		}
		changed := m.changed
		m.mu.Unlock()
		if !looked {
			m.nudge() // once: each look has those who wait look again
			looked = true
		}
		select {
		case <-changed:
		case <-limited.Done():
			if ctx.Err() != nil {
				return nil, fmt.Errorf("waiting for an instance: %w", ctx.Err())
			}
			return nil, agent.Errorf(agent.CodeQuota, "see what is in use: hks workspace show", "no instance for a %s function was to be had within %s", c.runtime, podWithin)
		}
	}
}

// hand gives the pod its function. refused is true when the function itself is
// at fault, and another pod would not do better.
func (m *Manager) hand(ctx context.Context, p *pod, t target) (refused bool, err error) {
	archive, err := os.ReadFile(m.archiveFile(t.function, t.digest))
	if err != nil {
		return true, fmt.Errorf("reading the archive of %s: %w", t.function, err)
	}
	text, err := json.Marshal(map[string]any{"entry": t.spec.Entry, "signature": t.spec.Signature, "source": t.spec.Source, "digest": t.digest, "env": t.env})
	if err != nil {
		return true, fmt.Errorf("writing the call: %w", err)
	}
	header := base64.StdEncoding.EncodeToString(text)
	mac := hmac.New(sha256.New, []byte(p.key))
	mac.Write([]byte(header))
	ctx, cancel := context.WithTimeout(ctx, specialiseWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.ip+":8080/specialise", bytes.NewReader(archive))
	if err != nil {
		return true, fmt.Errorf("preparing the call: %w", err)
	}
	request.Header.Set("X-Hks-Function", header)
	request.Header.Set("X-Hks-Signature", hex.EncodeToString(mac.Sum(nil)))
	response, err := m.pods.Do(request)
	if err != nil {
		return false, fmt.Errorf("calling the pod: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return false, fmt.Errorf("reading the pod's answer: %w", err)
	}
	var answer struct{ Error string }
	switch response.StatusCode {
	case http.StatusOK:
		return false, nil
	case http.StatusUnprocessableEntity:
		if json.Unmarshal(body, &answer) != nil {
			answer.Error = string(body)
		}
		return true, agent.Errorf(agent.CodeFunctionFailed, "correct it and deploy again: hks function deploy", "%s can't be loaded: %s", t.function, strings.TrimSpace(answer.Error))
	}
	return false, fmt.Errorf("the pod answers %s: %.200s", response.Status, body)
}
