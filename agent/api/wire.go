package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Times of sessions.
const (
	sessionQuiet = time.Hour       // a session on which nothing moves for so long is ended
	lastFrame    = 5 * time.Second // for the frame that says how it ended
)

// errLeft says that the client ended the session.
var errLeft = errors.New("the client left")

// wire is a WebSocket that carries the frames of one session.
type wire struct {
	ctx     context.Context // ends with the client, the server, the credential or with silence; its cause says which
	end     context.CancelCauseFunc
	grace   context.Context // ends a moment later: a write that is cut off takes the connection, and the last frame, with it
	conn    *websocket.Conn
	moved   atomic.Int64   // when a frame last went either way, in nanoseconds of Unix time
	reading sync.WaitGroup // who receives
	release func()
}

// isUpgrade tells whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// openWire upgrades the request when there is room in slots. The caller
// closes the wire.
func (s *Server) openWire(c *gin.Context, slots chan struct{}) (*wire, error) {
	select {
	case slots <- struct{}{}:
	default:
		return nil, tooMany(int(heartbeat.Seconds()), "there are as many open sessions as may be")
	}
	c.Set(streamKey, true)
	s.work.Add(1) // the server waits for its sessions
	conn, err := websocket.Accept(c.Writer, c.Request, nil)
	if err != nil {
		<-slots
		s.work.Done()
		return nil, &agent.Error{Code: agent.CodeInvalid, Message: "the WebSocket's handshake is malformed", Fix: "use the hks command", Cause: err}
	}
	conn.SetReadLimit(agent.MaxFrame)
	w := &wire{conn: conn}
	w.moved.Store(time.Now().UnixNano())
	w.ctx, w.end = context.WithCancelCause(context.WithoutCancel(c.Request.Context()))
	var endGrace context.CancelFunc
	w.grace, endGrace = context.WithCancel(context.WithoutCancel(w.ctx))
	context.AfterFunc(w.ctx, func() { time.AfterFunc(lastFrame, endGrace) })
	s.metrics.streams.Inc()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(c.Request, w)
	}()
	w.release = func() {
		endGrace()
		<-watched
		s.metrics.streams.Dec()
		<-slots
		s.work.Done()
	}
	return w, nil
}

// watch ends a wire whose credential is no longer good, on which nothing
// moves, or whose server stops; and shows whatever is in between that it lives.
func (s *Server) watch(r *http.Request, w *wire) {
	beat := time.NewTicker(s.sessionBeat)
	defer beat.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-s.life.Done():
			w.end(agent.Errorf(agent.CodeClusterAway, "open it again in a moment", "the agent is stopping"))
			return
		case <-beat.C:
		}
		quiet := time.Since(time.Unix(0, w.moved.Load()))
		switch {
		case !s.auth.still(r):
			w.end(unauthorized("the session or token that this was opened with is no longer good"))
			return
		case quiet >= s.sessionQuiet:
			w.end(agent.Errorf(agent.CodeConflict, "open it again", "nothing moved for %s, so it was ended", s.sessionQuiet))
			return
		case quiet >= s.sessionBeat:
			s.ping(w)
		}
	}
}

// ping sends a ping. A missing pong says nothing: a client whose output is
// not read answers late. A dead one is found by the kernel.
func (s *Server) ping(w *wire) {
	ctx, cancel := context.WithTimeout(w.ctx, s.sessionBeat)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	_ = w.conn.Ping(ctx) // whoever reads and writes sees a connection that broke
}

// receive hands each frame to take, until the wire is closed or take fails.
// It is called once.
func (w *wire) receive(take func(channel byte, payload []byte) error) {
	for {
		kind, frame, err := w.conn.Read(context.WithoutCancel(w.ctx)) // a read that is cut off takes the connection with it
		if err != nil {
			w.end(errLeft)
			return
		}
		w.moved.Store(time.Now().UnixNano())
		if kind != websocket.MessageBinary || len(frame) == 0 {
			w.end(invalid("frame", kind.String(), "frames are binary and begin with their channel"))
			return
		}
		if err := take(frame[0], frame[1:]); err != nil {
			w.end(err)
			return
		}
	}
}

// send sends one frame.
func (w *wire) send(ctx context.Context, channel byte, payload []byte) error {
	frame := make([]byte, 0, len(payload)+1)
	frame = append(append(frame, channel), payload...)
	if err := w.conn.Write(ctx, websocket.MessageBinary, frame); err != nil {
		w.end(errLeft)
		return err
	}
	w.moved.Store(time.Now().UnixNano())
	return nil
}

// writer sends what is written on a channel.
func (w *wire) writer(channel byte) io.Writer { return wireWriter{w, channel} }

type wireWriter struct {
	w       *wire
	channel byte
}

// Write sends p in as many frames as it takes; nothing for an empty p.
func (o wireWriter) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n := min(len(p)-sent, agent.MaxFrame-1)
		if o.w.ctx.Err() != nil {
			return sent, context.Cause(o.w.ctx)
		}
		if err := o.w.send(o.w.grace, o.channel, p[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// finish sends the frame that says how the session ended, and ends it in
// good order.
func (w *wire) finish(channel byte, payload []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), lastFrame)
	defer cancel()
	if w.send(ctx, channel, payload[:min(len(payload), agent.MaxFrame-1)]) == nil {
		_ = w.conn.Close(websocket.StatusNormalClosure, "") // the client has its last frame
	}
}

// close ends what is left of the wire and waits for those who use it.
func (w *wire) close() {
	w.end(errLeft)
	_ = w.conn.CloseNow() // closed in good order already, or broken
	w.reading.Wait()
	w.release()
}
