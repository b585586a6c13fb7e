package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/function"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/systemd"
)

// buildFunctions makes the functions and the socket on which the gateway asks
// for instances.
func (p *parts) buildFunctions(cfg Config, cluster *kube.Client, gateway *gatewayClient, hub *api.Hub, journal *api.Journal) (err error) {
	_, port, err := routeOf(cfg.Settings.Gateway)
	if err != nil {
		return err
	}
	p.functions, err = function.New(function.Config{
		Store: p.store, Cluster: cluster, Workspace: p.workspace, Images: p.registry, Builder: p.builder.client, Gateway: newFunctionGateway(gateway), Schedules: schedules{p},
		Dir: cfg.Settings.Paths().State("functions"), Domain: cfg.Settings.Domain, Port: port,
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	p.claims = &claims{sockets: cfg.Sockets, socket: cfg.Settings.Paths().FunctionSocket(), functions: p.functions, log: cfg.Log}
	apps := p.names.list
	p.names.list = func(ctx context.Context) ([]string, error) {
		list, err := apps(ctx)
		return append(list, p.functions.Hosts()...), err
	}
	return nil
}

// functionGateway is the gateway as far as functions go. Calls take as long as
// their function may.
type functionGateway struct{ http *http.Client }

func newFunctionGateway(g *gatewayClient) functionGateway {
	return functionGateway{&http.Client{Transport: g.http.Transport}}
}

// SetFunctions tells the gateway what there is.
func (g functionGateway) SetFunctions(ctx context.Context, table agent.FunctionTable) error {
	return g.ask(ctx, http.MethodPut, "/functions", table, nil)
}

// FunctionLoads tells what each instance does.
func (g functionGateway) FunctionLoads(ctx context.Context) (map[string]agent.FunctionLoad, error) {
	var loads map[string]agent.FunctionLoad
	return loads, g.ask(ctx, http.MethodGet, "/functions/loads", nil, &loads)
}

// ReleaseFunction takes an idle instance out of use.
func (g functionGateway) ReleaseFunction(ctx context.Context, name, address string, idle time.Duration) (bool, error) {
	var answer struct{ Released bool }
	query := url.Values{"address": {address}, "idle": {idle.String()}}
	err := g.ask(ctx, http.MethodPost, "/functions/"+name+"/release?"+query.Encode(), nil, &answer)
	return answer.Released, err
}

func (g functionGateway) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("asking the gateway: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, &body)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s: %.200s", response.Status, data)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	return nil
}

// callLimit is longer than any call may take, its wait for an instance included.
const callLimit = 1100 * time.Second

// CallFunction calls a function as any client does.
func (g functionGateway) CallFunction(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/functions/"+name+"/call", bytes.NewReader(call.Payload))
	if err != nil {
		return agent.FunctionAnswer{}, fmt.Errorf("calling %s: %w", name, err)
	}
	request.Header.Set("Content-Type", "application/json")
	for key, value := range call.Headers {
		request.Header.Set(key, value)
	}
	begin := time.Now()
	response, err := g.http.Do(request)
	if err != nil {
		return agent.FunctionAnswer{}, agent.Errorf(agent.CodeClusterAway, "see how the appliance is: hks status", "the gateway does not answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := agent.FunctionAnswer{Status: response.StatusCode, Headers: map[string]string{}, Cold: response.Header.Get("X-Hks-Start") == "cold"}
	for key := range response.Header {
		answer.Headers[key] = response.Header.Get(key)
	}
	answer.Body, err = io.ReadAll(io.LimitReader(response.Body, agent.MaxFunctionPayload))
	answer.Millis = float64(time.Since(begin).Microseconds()) / 1000
	if err != nil {
		return answer, fmt.Errorf("reading the answer of %s: %w", name, err)
	}
	return answer, nil
}

// claims is the socket on which the gateway asks for instances.
type claims struct {
	socket    string
	sockets   *systemd.Sockets
	functions *function.Manager
	log       *slog.Logger
	server    *http.Server
	ended     chan struct{}
}

// Start listens.
func (c *claims) Start(ctx context.Context) error {
	listener, inherited, err := c.sockets.Listener("unix", c.socket)
	if !inherited && err == nil {
		listener, err = c.listen(ctx)
	}
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /claim", c.claim)
	mux.HandleFunc("POST /broken", func(w http.ResponseWriter, r *http.Request) { c.functions.Broken(r.URL.Query().Get("address")) })
	c.server, c.ended = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, make(chan struct{})
	go func() {
		defer close(c.ended)
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("the socket of functions ended", "err", err)
		}
	}()
	return nil
}

// listen opens the socket where nobody holds it for the agent.
func (c *claims) listen(ctx context.Context) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(c.socket), 0o755); err != nil { // after a boot nobody else may have made it yet
		return nil, fmt.Errorf("making the folder of the functions' socket: %w", err)
	}
	if err := os.Remove(c.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("clearing the socket of functions: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", c.socket)
	if err != nil {
		return nil, fmt.Errorf("opening the socket of functions: %w", err)
	}
	if err := os.Chmod(c.socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the socket of functions: %w", err), listener.Close())
	}
	return listener, nil
}

// Stop closes the socket.
func (c *claims) Stop(ctx context.Context) error {
	if c.server == nil {
		return nil
	}
	err := c.server.Close()
	select {
	case <-c.ended:
	case <-ctx.Done():
	}
	return err
}

func (c *claims) claim(w http.ResponseWriter, r *http.Request) {
	var answer agent.FunctionClaim
	address, seq, err := c.functions.Claim(r.Context(), r.URL.Query().Get("function"))
	if err != nil {
		answer.Status, answer.Error = c.refusal(err)
	}
	answer.Address, answer.Seq = address, seq
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the gateway is gone, then, and asks again
}

// refusal is the answer that the caller of the function gets.
func (c *claims) refusal(err error) (status int, body json.RawMessage) {
	shown, ok := errors.AsType[*agent.Error](err)
	if !ok {
		c.log.Error("a function gets no instance", "err", err)
		shown = agent.Errorf(agent.CodeInternal, "the agent's log says more", "hks met a fault of its own")
	}
	switch shown.Code {
	case agent.CodeNotFound:
		status = http.StatusNotFound
	case agent.CodeTooMany:
		status = http.StatusTooManyRequests
	case agent.CodeQuota:
		status = http.StatusServiceUnavailable
	default:
		status = http.StatusInternalServerError
	}
	body, err = json.Marshal(map[string]any{"code": shown.Code, "message": shown.Message, "fix": shown.Fix})
	if err != nil {
		return http.StatusInternalServerError, nil // strings: it can't fail
	}
	return status, body
}

// schedules keeps the cron jobs of functions; cron jobs are built later.
type schedules struct{ p *parts }

// CheckTriggers refuses triggers that could not be followed.
func (s schedules) CheckTriggers(ctx context.Context, name string, triggers []agent.FunctionTrigger) error {
	return s.p.cron.CheckTriggers(ctx, name, triggers)
}

// FollowTriggers has the cron jobs be as the triggers say.
func (s schedules) FollowTriggers(ctx context.Context, name string, triggers []agent.FunctionTrigger, by string) error {
	return s.p.cron.FollowTriggers(ctx, name, triggers, by)
}
