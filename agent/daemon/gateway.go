package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
