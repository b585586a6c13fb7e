package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/k3s"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/registry"
)

type bootConfig struct {
	Engine      *k3s.Engine
	Registry    *registry.Registry
	AgentFile   string // kubeconfig of the agent's own credential
	GatewayFile string // kubeconfig of the gateway's
	OnChange    func()
	Log         *slog.Logger
}

// The pause between attempts, which doubles from the first to the last.
const (
	bootPauseMin = 2 * time.Second
	bootPauseMax = 30 * time.Second
)

// boot brings the cluster to where the agent can work with it: the engine
// runs, the platform's own objects are there, and the credentials work. It
// tries until it succeeds.
type boot struct {
	cfg bootConfig

	mu      sync.Mutex // guards done and message
	done    bool
	message string

	cancel context.CancelFunc
	ended  chan struct{}
}

func newBoot(cfg bootConfig) *boot { return &boot{cfg: cfg, message: "waits for the engine"} }

// Start begins in the background.
func (b *boot) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.ended = cancel, make(chan struct{})
	go func() {
		defer close(b.ended)
		b.run(ctx)
	}()
	return nil
}

// Stop gives up; what runs already goes on.
func (b *boot) Stop(ctx context.Context) error {
	b.cancel()
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Done tells whether the cluster is ready for the agent.
func (b *boot) Done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// Part tells how far it is.
func (b *boot) Part() agent.Part {
	b.mu.Lock()
	defer b.mu.Unlock()
	return agent.Part{Name: "cluster", Healthy: b.done, Message: b.message}
}

func (b *boot) set(done bool, message string) {
	b.mu.Lock()
	b.done, b.message = done, message
	b.mu.Unlock()
	b.cfg.OnChange()
}

func (b *boot) run(ctx context.Context) {
	for pause := bootPauseMin; ; pause = min(2*pause, bootPauseMax) {
		err := b.attempt(ctx)
		if err == nil {
			b.set(true, "")
			return
		}
		if ctx.Err() != nil {
			return
		}
		message := err.Error()
		if known, ok := errors.AsType[*agent.Error](err); ok && known.Fix != "" {
			message += " (" + known.Fix + ")"
		}
		b.set(false, message)
		b.cfg.Log.ErrorContext(ctx, "the cluster is not up", "error", err, "again in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (b *boot) attempt(ctx context.Context) error {
	if _, err := b.cfg.Engine.WriteRegistries(registriesOf(b.cfg.Registry.Mirror())); err != nil {
		return err
	}
	if err := b.cfg.Engine.Start(ctx); err != nil {
		return err
	}
	b.set(false, "makes the platform's own objects")
	admin, err := kube.New(kube.Config{Kubeconfig: b.cfg.Engine.Kubeconfig()})
	if err != nil {
		return err
	}
	return admin.Bootstrap(ctx, kube.Bootstrap{AgentFile: b.cfg.AgentFile, GatewayFile: b.cfg.GatewayFile})
}

// registriesOf is how this machine's node reaches the appliance's registry.
func registriesOf(m registry.Mirror) k3s.Registries {
	host := m.Endpoint[len("https://"):]
	return k3s.Registries{
		Mirrors: map[string]k3s.Mirror{m.Host: {Endpoint: []string{m.Endpoint}}},
		Configs: map[string]k3s.RegistryConfig{host: {
			Auth: &k3s.RegistryAuth{Username: m.Username, Password: m.Password},
			TLS:  &k3s.RegistryTLS{CAFile: m.CAFile},
		}},
	}
}
