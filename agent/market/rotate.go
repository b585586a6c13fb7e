package market

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Rotate accepts an exchange of a service's credentials.
func (m *Manager) Rotate(ctx context.Context, name, by string) (agent.ServiceJob, error) {
	if _, err := m.withEngine(ctx, name); err != nil {
		return agent.ServiceJob{}, err
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindRotate, By: by}, struct{}{}, "")
}

// withEngine finds a service whose engine the platform knows.
func (m *Manager) withEngine(ctx context.Context, name string) (store.Service, error) {
	s, err := m.installed(ctx, name)
	if err == nil && s.Engine == "" {
		err = agent.Errorf(agent.CodeConflict, "use the tools of its chart", "the platform knows no users and backups of %s: its chart is your own", name)
	}
	return s, err
}

// rotate makes a second user, moves each bound app to it by a release, and
// drops the first one when all are over: at any moment the credentials that an
// app holds are good. Cut off, it goes on with the same second user.
func (w *worker) rotate(ctx context.Context, s store.Service) error {
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	held, err := w.held(ctx, namespace, s)
	if err != nil {
		return err
	}
	if held[keyNextUser] == "" {
		held[keyNextUser], held[keyNextPassword] = nextUser(held[keyUser]), newPassword()
		if err := w.putSecret(ctx, namespace, s, held); err != nil {
			return err
		}
	}
	next, password := held[keyNextUser], held[keyNextPassword]
	if err := w.step(ctx, "making the user %s", next); err != nil {
		return err
	}
	if _, err := w.serve(ctx, namespace, s, strings.NewReader(password+"\n"), nil, "add-user", next); err != nil {
		return err
	}
	chart, err := w.catalogue.of(s)
	if err != nil {
		return err
	}
	bindings, err := w.cfg.Store.Bindings(ctx, s.Name)
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if err := w.move(ctx, b, environment(chart, s.Name, next, password, b.Prefix)); err != nil {
			return err
		}
	}
	old := held[keyUser]
	if err := w.putSecret(ctx, namespace, s, map[string]string{keyUser: next, keyPassword: password}); err != nil {
		return err
	}
	s.User = next
	if err := w.cfg.Store.PutService(ctx, s); err != nil {
		return err
	}
	if _, err := w.serve(ctx, namespace, s, nil, nil, "drop-user", old); err != nil {
		return err
	}
	return w.step(ctx, "the user %s is gone", old)
}

// nextUser counts the number at the end of a name up.
func nextUser(name string) string {
	base, number, ok := strings.Cut(name, "_")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return name + "_2"
	}
	return base + "_" + strconv.Itoa(n+1)
}

// move gives an app its new credentials and waits until the release serves.
func (w *worker) move(ctx context.Context, b agent.Binding, env map[string]string) error {
	release, err := w.cfg.Apps.SetEnv(ctx, b.App, b.Environment, env, nil, w.job.By)
	if agent.CodeOf(err) == agent.CodeNotFound {
		return w.cfg.Store.RemoveBinding(ctx, b.Service, b.App, b.Environment) // the app is gone
	}
	if err != nil {
		return err
	}
	if err := w.step(ctx, "%s/%s gets the new credentials by release %d", b.App, b.Environment, release.Number); err != nil {
		return err
	}
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for !release.Status.Done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
		if release, err = w.cfg.Apps.Release(ctx, b.App, b.Environment, release.Number); err != nil {
			return err
		}
	}
	if release.Status != agent.ReleaseSucceeded {
		return agent.Errorf(agent.CodeRollout, fmt.Sprintf("see why, then rotate again: hks app show %s/%s; until then both credentials are good", b.App, b.Environment),
			"%s/%s did not get ready with the new credentials: release %d %s", b.App, b.Environment, release.Number, release.Status)
	}
	b.Release = release.Number
	return w.cfg.Store.PutBinding(ctx, b)
}
