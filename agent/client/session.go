package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/coder/websocket"

	"hks.dev/hks/agent"
)

// wire is the WebSocket of one exec or port-forward session.
type wire struct {
	c    *Client
	conn *websocket.Conn
}

// open makes a session's WebSocket, with the same trust and credential as
// every other request.
func (c *Client) open(ctx context.Context, path string) (*wire, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := c.request(limited, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	conn, answer, err := websocket.Dial(limited, req.URL.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: req.Header})
	switch {
	case err == nil:
		conn.SetReadLimit(agent.MaxFrame)
		return &wire{c: c, conn: conn}, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case answer != nil && answer.StatusCode >= 300:
		return nil, c.refusal(answer)
	}
	return nil, c.explain(err)
}

// close ends the session, also in the middle.
func (w *wire) close() { _ = w.conn.CloseNow() }

// send sends one frame.
func (w *wire) send(ctx context.Context, channel byte, payload []byte) error {
	frame := make([]byte, 0, len(payload)+1)
	return w.conn.Write(ctx, websocket.MessageBinary, append(append(frame, channel), payload...))
}

// sendAll sends what r yields, and its end.
func (w *wire) sendAll(ctx context.Context, r io.Reader) error {
	buffer := make([]byte, agent.MaxFrame-1)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			if err := w.send(ctx, agent.ChannelStdin, buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil { // the end, or no more to be had
			return w.send(ctx, agent.ChannelStdin, nil)
		}
	}
}

// receive hands out frames until the appliance ends the session in good
// order, take fails, or the connection breaks.
func (w *wire) receive(ctx context.Context, take func(channel byte, payload []byte) error) error {
	for {
		_, frame, err := w.conn.Read(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
			return nil
		case errors.Is(err, io.EOF):
			return w.c.explain(errEnded)
		default:
			return w.c.explain(fmt.Errorf("reading from the session: %w", err))
		}
		if len(frame) == 0 {
			return w.strange("an empty frame")
		}
		if frame[0] == agent.ChannelError {
			if e := decodeError(frame[1:]); e != nil {
				return e
			}
			return w.strange("an error")
		}
		if err := take(frame[0], frame[1:]); err != nil {
			return err
		}
	}
}

func (w *wire) strange(what string) error {
	return agent.Errorf(CodeNotAppliance, "bring hks and the appliance to the same version: hks version shows both",
		"the appliance sent %s that this version of hks does not understand", what)
}

func instanceValues(query agent.InstanceQuery) url.Values {
	v := url.Values{}
	if query.Component != "" {
		v.Set("component", query.Component)
	}
	if query.Instance != "" {
		v.Set("instance", query.Instance)
	}
	if query.Port != 0 {
		v.Set("port", strconv.Itoa(query.Port))
	}
	return v
}

// Exec runs a command in an instance of an app until it ends, and returns its
// exit code. A read of streams.Stdin that is under way at the end is left to
// the caller, who may close it.
func (c *Client) Exec(ctx context.Context, app string, env agent.Environment, query agent.InstanceQuery, run agent.Exec, streams agent.ExecStreams) (int, error) {
	values := instanceValues(query)
	values["command"] = run.Command
	values.Set("tty", strconv.FormatBool(run.TTY))
	values.Set("stdin", strconv.FormatBool(run.Stdin))
	if run.TTY && run.Size != (agent.TerminalSize{}) {
		values.Set("width", strconv.Itoa(int(run.Size.Width)))
		values.Set("height", strconv.Itoa(int(run.Size.Height)))
	}
	w, err := c.open(ctx, appPath(app, env, "/exec?"+values.Encode()))
	if err != nil {
		return 0, err
	}
	defer w.close()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	if run.Stdin && streams.Stdin != nil {
		go func() { _ = w.sendAll(sending, streams.Stdin) }() // whoever receives sees a connection that broke
	}
	if streams.Sizes != nil {
		go w.sendSizes(sending, streams.Sizes) // ends with sending
	}
	exit := -1
	err = w.receive(ctx, func(channel byte, payload []byte) error {
		switch channel {
		case agent.ChannelStdout:
			_, err := streams.Stdout.Write(payload)
			return err
		case agent.ChannelStderr:
			_, err := streams.Stderr.Write(payload)
			return err
		case agent.ChannelExit:
			if err := json.Unmarshal(payload, &exit); err != nil {
				return w.strange("an exit code")
			}
		}
		return nil
	})
	if err == nil && exit < 0 {
		err = c.explain(errEnded)
	}
	return exit, err
}

func (w *wire) sendSizes(ctx context.Context, sizes <-chan agent.TerminalSize) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, open := <-sizes:
			if !open {
				return
			}
			data, err := json.Marshal(size)
			if err != nil || w.send(ctx, agent.ChannelResize, data) != nil {
				return // whoever receives sees a connection that broke
			}
		}
	}
}

// FindPort tells to which instance and port a port-forward would go now.
func (c *Client) FindPort(ctx context.Context, app string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	var target agent.InstanceTarget
	err := c.call(ctx, http.MethodGet, appPath(app, env, "/port-forward?"+instanceValues(query).Encode()), nil, &target)
	return target, err
}

// Forward connects conn to a port of an instance, until the port has sent all
// it will, conn breaks or ctx ends. It closes conn.
func (c *Client) Forward(ctx context.Context, app string, env agent.Environment, query agent.InstanceQuery, conn io.ReadWriteCloser) error {
	return c.forward(ctx, appPath(app, env, "/port-forward?"+instanceValues(query).Encode()), conn)
}

func (c *Client) forward(ctx context.Context, path string, conn io.ReadWriteCloser) error {
	defer func() { _ = conn.Close() }() // both ends are done with it
	w, err := c.open(ctx, path)
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = w.sendAll(ctx, conn) // whoever receives sees a connection that broke
	}()
	err = w.receive(ctx, func(channel byte, payload []byte) error {
		if channel != agent.ChannelStdout {
			return nil
		}
		if _, err := conn.Write(payload); err != nil {
			return errLocal
		}
		return nil
	})
	w.close()
	_ = conn.Close() // wakes who reads from it
	<-sent
	if errors.Is(err, errLocal) {
		return nil
	}
	return err
}

// errLocal says that the local end of a forwarded connection left.
var errLocal = errors.New("the local end left")
