package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// newcomersLimit bounds how long a stop waits for connections that were let in
// and have not asked for anything yet.
const newcomersLimit = 3 * time.Second

// newcomers are connections without a request so far. http.Server.Shutdown
// closes them, though whoever just connected is about to ask: of a socket that
// systemd holds over a restart that would be the only call that fails.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	none  chan struct{} // closed and forgotten when conns gets empty; nil unless waited for
}

type newcomerKey struct{}

// listener lets nobody in unnoticed.
type countingListener struct {
	net.Listener
	n *newcomers
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: conn, n: l.n}
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.n.conns[counted] = struct{}{}
	return counted, nil
}

// countedConn is forgotten when it is closed.
type countedConn struct {
	net.Conn
	n *newcomers
}

func (c *countedConn) Close() error {
	c.n.forget(c)
	return c.Conn.Close()
}

// NetConn is what it is made of, as of a tls.Conn.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func newNewcomers() *newcomers { return &newcomers{conns: map[net.Conn]struct{}{}} }

// watch has a server tell of connections that ask.
func (n *newcomers) watch(server *http.Server) {
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok { // below TLS
			if _, own := conn.(*countedConn); !own {
				conn = inner.NetConn()
			}
		}
		return context.WithValue(ctx, newcomerKey{}, conn)
	}
	handler := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(newcomerKey{}).(net.Conn); ok {
			n.forget(conn)
		}
		handler.ServeHTTP(w, r)
	})
}

func (n *newcomers) forget(conn net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, conn)
	if len(n.conns) == 0 && n.none != nil {
		close(n.none)
		n.none = nil
	}
}

// wait waits until each connection has asked or gone, at most newcomersLimit.
func (n *newcomers) wait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, newcomersLimit)
	defer cancel()
	n.mu.Lock()
	if len(n.conns) == 0 {
		n.mu.Unlock()
		return
	}
	none := make(chan struct{})
	n.none = none
	n.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
