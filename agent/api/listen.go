package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"hks.dev/hks/agent"
)

// maxSocketPath is what fits in sockaddr_un (unix(7)).
const maxSocketPath = 107

// Sockets are listening sockets that someone else holds for the API, so that
// they stay open while it is restarted.
type Sockets interface {
	Listener(network, address string) (net.Listener, bool, error)
}

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	address := s.cfg.Settings.API.Listen
	if s.cfg.Sockets != nil {
		if listener, ok, err := s.cfg.Sockets.Listener("tcp", address); ok || err != nil {
			return listener, err
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err == nil {
		return listener, nil
	}
	_, port, _ := net.SplitHostPort(address) // checked with the settings
	file := s.cfg.Settings.Paths().ConfigFile()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("port %s of the API is in use by another program", port),
			Fix:     fmt.Sprintf("see which with: ss -ltnp 'sport = :%s'; stop it, or set api.listen in %s to another port", port, file),
			Details: map[string]any{"port": port, "setting": "api.listen"},
			Cause:   err,
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES):
		return nil, &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("the API can't listen on %s: %v", address, err),
			Fix:     "set api.listen in " + file + " to an address of this machine and a port that is allowed",
			Details: map[string]any{"setting": "api.listen"},
			Cause:   err,
		}
	}
	return nil, fmt.Errorf("listening on %s: %w", address, err)
}

func tlsConfig(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
}

// socket is the unix socket of the machine's own administrator.
type socket struct {
	net.Listener
	path  string
	close sync.Once
}

// listenLocal takes the unix socket that is held for the API, or opens one.
func (s *Server) listenLocal(ctx context.Context) (*socket, error) {
	path := s.cfg.Settings.Paths().AgentSocket()
	if s.cfg.Sockets != nil {
		if listener, ok, err := s.cfg.Sockets.Listener("unix", path); ok || err != nil {
			return &socket{Listener: listener, path: path}, err
		}
	}
	return listenSocket(ctx, path)
}

// listenSocket listens on path. A socket that is left over is removed, one
// that answers is not.
func listenSocket(ctx context.Context, path string) (*socket, error) {
	if len(path) > maxSocketPath {
		return nil, agent.Errorf(agent.CodeInvalid, "use a shorter --root", "the path of the API's socket is too long for Linux: %s", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the socket's folder: %w", err)
	}
	if err := clearSocket(ctx, path); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close() // the error before is the one to tell
		return nil, fmt.Errorf("protecting %s: %w", path, err)
	}
	return &socket{Listener: listener, path: path}, nil
}

func clearSocket(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return agent.Errorf(agent.CodeConflict, "stop the other one first, or use it", "another hks-agent answers on %s", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("trying whether %s is left over: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the left-over %s: %w", path, err)
	}
	return nil
}

// Accept lets in root and the agent's own user only, beside the file's mode.
func (s *socket) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if allowedPeer(conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
}

func allowedPeer(conn net.Conn) bool {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return false
	}
	allowed := false
	err = raw.Control(func(fd uintptr) {
		peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		allowed = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
	})
	return err == nil && allowed
}

// Close removes the socket's file too; closing twice is fine.
func (s *socket) Close() error {
	var err error
	s.close.Do(func() {
		if err = s.Listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	})
	return err
}

type localKey struct{}

// markLocal marks requests that came by the unix socket.
func markLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), localKey{}, true)))
	})
}

func isLocal(r *http.Request) bool {
	local, _ := r.Context().Value(localKey{}).(bool)
	return local
}
