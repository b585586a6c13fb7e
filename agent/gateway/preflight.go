package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"hks.dev/hks/agent"
)

// ErrPreflight marks an error of Start that the machine's owner can mend;
// nothing was begun.
var ErrPreflight = errors.New("preflight failed")

// preflight finds out whether the gateway could run here. The ports are tried
// without SO_REUSEPORT, with which Caddy would share them silently.
func (g *Gateway) preflight(ctx context.Context) error {
	if err := os.MkdirAll(g.cfg.State, 0o700); err != nil {
		return mendable(agent.CodeInternal, err, "check the disk and the owner of that folder",
			"the gateway's folder %s can't be made: %v", g.cfg.State, err)
	}
	if g.cfg.Succeeds {
		return nil // ports and socket are those of the one that runs, until it ends
	}
	for _, port := range []struct{ setting, address string }{
		{"gateway.http", g.cfg.HTTP}, {"gateway.https", g.cfg.HTTPS},
	} {
		if _, held := g.inherited("tcp", port.address); held {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", port.address)
		if err != nil {
			return g.portError(port.setting, port.address, err)
		}
		_ = listener.Close() // it only showed that the port is free
	}
	if _, held := g.inherited("unix", g.cfg.Socket); held {
		return nil
	}
	return g.claimSocket(ctx)
}

// inherited is the socket of an address that is held for the gateway.
func (g *Gateway) inherited(network, address string) (*os.File, bool) {
	if g.cfg.Sockets == nil {
		return nil, false
	}
	return g.cfg.Sockets.File(network, address)
}

// claimSocket removes the socket of a gateway that is no more.
func (g *Gateway) claimSocket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", g.cfg.Socket)
	if err == nil {
		_ = conn.Close()
		return mendable(agent.CodeConflict, nil, "stop the other one first", "a gateway answers at %s already", g.cfg.Socket)
	}
	if err := os.Remove(g.cfg.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return mendable(agent.CodeInternal, err, "check the owner of that folder", "the old socket %s can't be removed: %v", g.cfg.Socket, err)
	}
	return nil
}

func (g *Gateway) portError(setting, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	where := g.cfg.Settings
	if where == "" {
		where = "config.yaml"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return mendable(agent.CodeConflict, err,
			fmt.Sprintf("stop the program that holds it (\"ss -ltnp 'sport = :%s'\" shows which), or set %s in %s to another ADDRESS:PORT", port, setting, where),
			"port %s is in use by another program, so the gateway can't listen on %s", port, address)
	case errors.Is(err, fs.ErrPermission):
		return mendable(agent.CodeForbidden, err,
			fmt.Sprintf("run it as root or with CAP_NET_BIND_SERVICE, or set %s in %s to a port above 1023", setting, where),
			"this account may not listen on port %s", port)
	default:
		return mendable(agent.CodeInvalid, err,
			fmt.Sprintf("set %s in %s to an address of this machine", setting, where),
			"the gateway can't listen on %s: %v", address, err)
	}
}

// explain words an error of Caddy's start where the owner can mend it: a port
// may have been taken after the preflight.
func (g *Gateway) explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return mendable(agent.CodeConflict, err, "start it again", "one of the ports %s and %s was taken while the gateway started", g.cfg.HTTP, g.cfg.HTTPS)
	}
	return fmt.Errorf("starting the servers: %w", err)
}

func mendable(code agent.Code, cause error, fix, format string, args ...any) error {
	return &agent.Error{
		Code: code, Message: fmt.Sprintf(format, args...), Fix: fix,
		Cause: errors.Join(ErrPreflight, cause),
	}
}

// ExitCode is the exit code of a process that ends with err: 0 for none, 3
// for what the owner can mend before a start, 1 for the rest.
func ExitCode(err error) int {
	const mendableCode = 3
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrPreflight), agent.CodeOf(err) == agent.CodeInvalid:
		return mendableCode
	default:
		return 1
	}
}
