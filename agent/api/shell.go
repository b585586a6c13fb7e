package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Bounds of what a session may ask for.
const (
	maxShells      = 16 // commands at once
	maxForwards    = 64 // forwarded connections at once: a browser opens several
	maxArguments   = 256
	maxArgument    = 8 << 10 // bytes of all arguments
	maxInstance    = 253     // bytes; a name in Kubernetes
	connectTimeout = 30 * time.Second
	shownCommand   = 60 // bytes of a program's name in the activity list
)

// getExec runs a command in an instance of an app.
func (s *Server) getExec(c *gin.Context) error {
	name, env, query, err := sessionQuery(c)
	if err != nil {
		return err
	}
	run, err := execQuery(c)
	if err != nil {
		return err
	}
	if !isUpgrade(c.Request) {
		return upgradeRequired()
	}
	target, err := s.findInstance(c, name, env, query)
	if err != nil {
		return err
	}
	w, err := s.openWire(c, s.shells)
	if err != nil {
		return err
	}
	defer w.close()
	s.cfg.Journal.Record(w.ctx, agent.Activity{
		Level: "info", Subject: name + "/" + string(env), By: identityOf(c).Name,
		Message: fmt.Sprintf("opened a shell in %s: %s", target.Instance, programOf(run)),
	})
	code, err := s.runExec(w, target, run)
	if err == nil {
		w.finish(agent.ChannelExit, []byte(strconv.Itoa(code)))
		return nil
	}
	s.fail(c, w, err)
	return nil
}

// runExec connects the command to the wire and waits for its end.
func (s *Server) runExec(w *wire, target agent.InstanceTarget, run agent.Exec) (int, error) {
	stdin, input := io.Pipe()
	sizes := make(chan agent.TerminalSize, 1)
	w.reading.Go(func() {
		defer func() { _ = input.Close() }() // a pipe's never fails
		w.receive(func(channel byte, payload []byte) error {
			switch {
			case channel == agent.ChannelResize:
				return resize(sizes, payload)
			case channel != agent.ChannelStdin:
				return invalid("channel", strconv.Itoa(int(channel)), "a client sends on the channels of input and size")
			case len(payload) == 0:
				return input.Close()
			}
			_, err := input.Write(payload)
			if errors.Is(err, io.ErrClosedPipe) {
				return nil // the command reads no more, or its input was closed
			}
			return err
		})
	})
	code, err := s.cfg.Shells.Exec(w.ctx, target, run, agent.ExecStreams{
		Stdin: stdin, Stdout: w.writer(agent.ChannelStdout), Stderr: w.writer(agent.ChannelStderr), Sizes: sizes,
	})
	_ = stdin.Close() // wakes a write that nobody reads
	return code, err
}

// resize keeps the newest size only.
func resize(sizes chan agent.TerminalSize, payload []byte) error {
	var size agent.TerminalSize
	if err := json.Unmarshal(payload, &size); err != nil || size.Width == 0 || size.Height == 0 {
		return invalid("size", string(payload), "a terminal's size is a width and a height")
	}
	select {
	case <-sizes:
	default:
	}
	sizes <- size // the one writer has just made room
	return nil
}

// getPortForward connects to a port of an instance. Without an upgrade it
// tells which instance and port that would be.
func (s *Server) getPortForward(c *gin.Context) error {
	name, env, query, err := sessionQuery(c)
	if err != nil {
		return err
	}
	target, err := s.findInstance(c, name, env, query)
	if err != nil {
		return err
	}
	if !isUpgrade(c.Request) {
		return answer(c, http.StatusOK, target)
	}
	w, err := s.openWire(c, s.forwards)
	if err != nil {
		return err
	}
	defer w.close()
	tunnel, err := s.dialInstance(w, target)
	if err != nil {
		s.fail(c, w, err)
		return nil
	}
	s.recordForward(c, name+"/"+string(env), target)
	if err := copyTunnel(w, tunnel); err != nil {
		s.fail(c, w, err)
		return nil
	}
	w.finish(agent.ChannelStdout, nil)
	return nil
}

func (s *Server) dialInstance(w *wire, target agent.InstanceTarget) (agent.Tunnel, error) {
	ctx, cancel := context.WithTimeout(w.ctx, connectTimeout)
	defer cancel()
	return s.cfg.Shells.Dial(ctx, target)
}

// copyTunnel copies both ways until the port has sent all it will.
func copyTunnel(w *wire, tunnel agent.Tunnel) error {
	closeTunnel := sync.OnceFunc(func() { _ = tunnel.Close() }) // its end was seen, or does not matter
	stop := context.AfterFunc(w.ctx, closeTunnel)
	defer stop()
	defer closeTunnel()
	w.reading.Go(func() {
		w.receive(func(channel byte, payload []byte) error {
			switch {
			case channel != agent.ChannelStdin:
				return invalid("channel", strconv.Itoa(int(channel)), "a client sends on the channel of input")
			case len(payload) == 0:
				_ = tunnel.CloseWrite() // as below
			default:
				_, _ = tunnel.Write(payload) // whoever reads sees why it fails
			}
			return nil
		})
	})
	_, err := io.CopyBuffer(w.writer(agent.ChannelStdout), onlyReader{tunnel}, make([]byte, agent.MaxFrame-1))
	return err
}

// onlyReader hides what else a reader could do.
type onlyReader struct{ io.Reader }

// recordForward keeps one line for the connections of a while.
func (s *Server) recordForward(c *gin.Context, subject string, target agent.InstanceTarget) {
	by := identityOf(c).Name
	message := fmt.Sprintf("opened a port-forward to port %d of %s", target.Port, target.Instance)
	if s.told.first(by + " " + subject + " " + message) {
		s.cfg.Journal.Record(c.Request.Context(), agent.Activity{Level: "info", Subject: subject, By: by, Message: message})
	}
}

// fail tells the client why its session ended, unless it left by itself.
func (s *Server) fail(c *gin.Context, w *wire, err error) {
	if cause := context.Cause(w.ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errLeft) || errors.Is(err, context.Canceled) {
		return
	}
	_, body := s.explain(c, err)
	text, err := encode(body)
	if err != nil {
		s.cfg.Log.ErrorContext(c.Request.Context(), "a session's error could not be told", "error", err)
		return
	}
	w.finish(agent.ChannelError, text)
}

func (s *Server) findInstance(c *gin.Context, name string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), connectTimeout)
	defer cancel()
	return s.cfg.Shells.Find(ctx, name, env, query)
}

// sessionQuery reads which instance a session is for.
func sessionQuery(c *gin.Context) (string, agent.Environment, agent.InstanceQuery, error) {
	name, env, err := target(c)
	if err != nil {
		return "", "", agent.InstanceQuery{}, err
	}
	query := agent.InstanceQuery{Component: c.Query("component"), Instance: c.Query("instance")}
	if query.Component != "" {
		if err := agent.ValidateName("component", query.Component); err != nil {
			return "", "", query, err
		}
	}
	if len(query.Instance) > maxInstance || strings.ContainsFunc(query.Instance, notInName) {
		return "", "", query, invalid("instance", query.Instance, "an instance is named by small letters, digits, dots and hyphens")
	}
	query.Port, err = queryInt(c, "port", 0, 0, 65535)
	return name, env, query, err
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

// execQuery reads what to run.
func execQuery(c *gin.Context) (agent.Exec, error) {
	run := agent.Exec{Command: c.QueryArray("command")}
	size := 0
	for _, argument := range run.Command {
		size += len(argument)
	}
	if len(run.Command) == 0 || run.Command[0] == "" || len(run.Command) > maxArguments || size > maxArgument {
		return run, &agent.Error{
			Code: agent.CodeInvalid, Message: "the command to run is missing or too long",
			Fix:     fmt.Sprintf("give a program and its arguments, up to %d of them and %d bytes; longer input goes through standard input", maxArguments, maxArgument),
			Details: map[string]any{"field": "command"},
		}
	}
	var err error
	if run.TTY, err = queryBool(c, "tty"); err != nil {
		return run, err
	}
	if run.Stdin, err = queryBool(c, "stdin"); err != nil {
		return run, err
	}
	for name, value := range map[string]*uint16{"width": &run.Size.Width, "height": &run.Size.Height} {
		n, err := queryInt(c, name, 0, 0, 65535)
		if err != nil {
			return run, err
		}
		*value = uint16(n) //nolint:gosec // within its bounds
	}
	return run, nil
}

// programOf names what is run without its arguments, which may hold secrets.
func programOf(run agent.Exec) string {
	program := run.Command[0]
	if len(program) > shownCommand {
		program = strings.ToValidUTF8(program[:shownCommand], "") + "…"
	}
	return strings.Trim(strconv.Quote(program), `"`)
}

func upgradeRequired() error {
	return &statusError{status: http.StatusUpgradeRequired, shown: &agent.Error{
		Code: agent.CodeInvalid, Message: "this is a WebSocket, and the request asked for none",
		Fix: "use the hks command: hks exec APP -- COMMAND",
	}}
}
