package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// troubleWait is how long the end of a connection waits for the reason.
const troubleWait = 2 * time.Second

// Dial connects to a port of an instance, until ctx ends. Whether somebody
// listens there shows at the first read.
func (s *Shell) Dial(ctx context.Context, target agent.InstanceTarget) (agent.Tunnel, error) {
	if target.Port == 0 {
		return nil, agent.Errorf(agent.CodeInvalid, "name the port of the instance", "the component %s listens on no port", target.Component)
	}
	settings, at, err := s.stream(ctx, target.Instance, "portforward", nil)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(settings)
	if err != nil {
		return nil, fmt.Errorf("preparing a port-forward: %w", err)
	}
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(at, settings)
	if err != nil {
		return nil, fmt.Errorf("preparing a port-forward: %w", err)
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	doing := "connecting to a port of " + target.Instance
	conn, err := dialStream(ctx, portforward.NewFallbackDialerForStreaming(socket, plain, noWebSocket))
	if err != nil {
		return nil, kube.Explain(doing, err)
	}
	t, err := newTunnel(conn, target)
	if err != nil {
		_ = conn.Close() // the error before is the one to tell
		return nil, kube.Explain(doing, err)
	}
	return t, nil
}

// dialStream dials under ctx, which the dialer itself does not take. One that
// comes too late is closed.
func dialStream(ctx context.Context, dialer httpstream.Dialer) (httpstream.Connection, error) {
	type dialled struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan dialled, 1)
	go func() { // ends with the dial, which has deadlines of its own
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		done <- dialled{conn, err}
		if ctx.Err() != nil && err == nil {
			_ = conn.Close() // nobody takes it
		}
	}()
	select {
	case d := <-done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tunnel is one connection to a port, over a connection to the cluster of its
// own: a stream of data and one that says what went wrong.
type tunnel struct {
	conn   httpstream.Connection
	data   httpstream.Stream
	target agent.InstanceTarget

	failed  chan struct{} // closed when trouble is known
	trouble error         // read after failed
	reader  sync.WaitGroup
}

func newTunnel(conn httpstream.Connection, target agent.InstanceTarget) (*tunnel, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(target.Port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	words, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	if err := words.Close(); err != nil { // only read from
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	t := &tunnel{conn: conn, data: data, target: target, failed: make(chan struct{})}
	t.reader.Go(func() {
		defer close(t.failed)
		text, err := io.ReadAll(io.LimitReader(words, maxLineBytes))
		if err == nil && len(text) > 0 {
			t.trouble = portTrouble(target, string(text))
			_ = conn.Close() // wakes who reads
		}
	})
	return t, nil
}

// portTrouble says why a port can't be connected to.
func portTrouble(target agent.InstanceTarget, words string) error {
	if strings.Contains(words, "connection refused") {
		return &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("nothing listens on port %d of %s", target.Port, target.Instance),
			Fix:     "use the port that the program listens on; its output may name it: hks logs APP",
			Cause:   errors.New(words),
		}
	}
	return kube.Explain(fmt.Sprintf("connecting to port %d of %s", target.Port, target.Instance), errors.New(words))
}

// Read reads what the port sends. At the end it tells what went wrong, if
// anything did.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.data.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	wait := time.NewTimer(troubleWait)
	defer wait.Stop()
	select {
	case <-t.failed:
		if t.trouble != nil {
			return 0, t.trouble
		}
	case <-wait.C:
	}
	return 0, err
}

// Write sends to the port.
func (t *tunnel) Write(p []byte) (int, error) { return t.data.Write(p) }

// CloseWrite closes the sending half.
func (t *tunnel) CloseWrite() error { return t.data.Close() }

// Close ends the connection. Closing twice is fine.
func (t *tunnel) Close() error {
	err := t.conn.Close()
	t.reader.Wait()
	return err
}

var _ agent.Tunnel = (*tunnel)(nil)
