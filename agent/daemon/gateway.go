package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// gatewayClient asks the gateway on its unix socket how it is and for the root
// of its local certificate authority.
type gatewayClient struct{ http *http.Client }

func newGatewayClient(socket string) *gatewayClient {
	return &gatewayClient{http: &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			MaxIdleConns:    2,
			IdleConnTimeout: time.Minute,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// maxAnswer bounds what the gateway may say, in bytes.
const maxAnswer = 8 << 20

// Healthy returns nil when the gateway listens and has its routes.
func (g *gatewayClient) Healthy(ctx context.Context) error {
	_, err := g.get(ctx, "/healthz")
	return err
}

// served returns nil when it is the process pid that answers and routes.
func (g *gatewayClient) served(ctx context.Context, pid int) error {
	g.http.CloseIdleConnections() // they lead to the one before
	text, err := g.get(ctx, "/healthz")
	if err != nil {
		return err
	}
	var health struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(text, &health); err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if health.PID != pid {
		return fmt.Errorf("the gateway that answers is process %d, not %d", health.PID, pid)
	}
	return nil
}

// migrateRequests lets connections that nobody has accepted yet pass from a
// listener that closes to one of the same port (Linux 5.14); it is undone
// with the other settings of the kernel when hks is removed.
const migrateRequests = "/proc/sys/net/ipv4/tcp_migrate_req"

// succeeded is served, and prepares the end of the gateway before.
func (s *supervisor) succeeded(ctx context.Context, pid int) error {
	if err := newGatewayClient(s.paths.GatewaySocket()).served(ctx, pid); err != nil {
		return err
	}
	if err := os.WriteFile(migrateRequests, []byte("1"), 0o644); err != nil {
		s.cfg.Log.WarnContext(ctx, "a connection that comes in this very moment may be refused", "error", err)
	}
	return nil
}

// RootCA returns the root of the local certificate authority, PEM.
func (g *gatewayClient) RootCA(ctx context.Context) ([]byte, error) { return g.get(ctx, "/ca.crt") }

func (g *gatewayClient) get(ctx context.Context, path string) ([]byte, error) {
	return g.ask(ctx, http.MethodGet, path, nil)
}

func (g *gatewayClient) ask(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gateway answers %s: %.200s", response.Status, answer)
	}
	return answer, nil
}
