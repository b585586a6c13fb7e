package api

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// Times of event streams.
const (
	heartbeat    = 15 * time.Second // how often a silent stream shows that it lives, and its credential is looked at again
	writeTimeout = 10 * time.Second // a client that takes longer to take a batch is dropped
	maxBatch     = 64               // items between two flushes
)

// eventStream writes server-sent events (WHATWG HTML, section 9.2).
type eventStream struct {
	ctx     context.Context // ends with the client, the server or the credential
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // for one batch
	release func()
	dirty   bool // something was written since the last flush
}

// openStream answers with an event stream. The caller closes it.
func (s *Server) openStream(c *gin.Context) (*eventStream, error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, tooMany(int(heartbeat.Seconds()), fmt.Sprintf("there are %d open event streams already", maxStreams))
	}
	s.metrics.streams.Inc()
	ctx, cancel := context.WithCancel(c.Request.Context())
	unlink := context.AfterFunc(s.life, cancel)
	stream := &eventStream{
		ctx: ctx, w: c.Writer, control: http.NewResponseController(c.Writer), timeout: s.streamTimeout,
		release: func() {
			unlink()
			cancel()
			s.metrics.streams.Dec()
			<-s.streams
		},
	}
	c.Set(streamKey, true)
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	return stream, nil
}

func (s *eventStream) close() { s.release() }

// send writes one event; id 0 means none. Flush brings it out.
func (s *eventStream) send(name string, id int64, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	var frame bytes.Buffer
	frame.WriteString("event: " + name + "\n")
	if id != 0 {
		frame.WriteString("id: " + strconv.FormatInt(id, 10) + "\n")
	}
	frame.WriteString("data: ")
	frame.Write(data) // JSON has no line breaks
	frame.WriteString("\n\n")
	return s.write(frame.Bytes())
}

// mark sets where the listener resumes, without an event.
func (s *eventStream) mark(id int64) error {
	return s.write([]byte("id: " + strconv.FormatInt(id, 10) + "\n\n"))
}

func (s *eventStream) comment(text string) error { return s.write([]byte(": " + text + "\n\n")) }

func (s *eventStream) write(frame []byte) error {
	if !s.dirty {
		if err := s.control.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
			return fmt.Errorf("setting a stream's deadline: %w", err)
		}
		s.dirty = true
	}
	if _, err := s.w.Write(frame); err != nil {
		return fmt.Errorf("writing to a stream: %w", err)
	}
	return nil
}

// flush brings out what was written, and lifts the deadline: HTTP/2 ends a
// stream whose deadline passes even when nothing waits to be written.
func (s *eventStream) flush() error {
	if !s.dirty {
		return nil
	}
	s.dirty = false
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("writing to a stream: %w", err)
	}
	if err := s.control.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lifting a stream's deadline: %w", err)
	}
	return nil
}

// pump sends what comes out of queue until it is closed, the stream's context
// ends or the credential does. It tells whether the queue was closed.
func pump[T any](s *Server, c *gin.Context, stream *eventStream, queue <-chan T, send func(T) error) (bool, error) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if err := stream.comment("open"); err != nil {
		return false, err
	}
	for {
		if err := stream.flush(); err != nil {
			return false, err
		}
		select {
		case <-stream.ctx.Done():
			return false, nil
		case <-beat.C:
			if !s.auth.still(c.Request) {
				return false, nil // the next request is told why
			}
			if err := stream.comment("beat"); err != nil {
				return false, err
			}
		case item, open := <-queue:
			for batch := 1; open; batch++ {
				if err := send(item); err != nil {
					return false, err
				}
				if batch == maxBatch || len(queue) == 0 {
					break
				}
				item, open = <-queue
			}
			if !open {
				return true, stream.flush()
			}
		}
	}
}

// outcome is one element of a sequence that can fail.
type outcome[T any] struct {
	item T
	err  error
}

// streamSeq sends a sequence as events called name. A failure in the middle is
// sent as an event "failure" with the body of an error answer; the last event
// is always "end", so that a browser knows not to connect again.
func streamSeq[T any](s *Server, c *gin.Context, name string, sequence func(context.Context) iter.Seq2[T, error]) error {
	stream, err := s.openStream(c)
	if err != nil {
		return err
	}
	queue := make(chan outcome[T], maxBatch)
	ctx, cancel := context.WithCancel(stream.ctx)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(queue)
		for item, err := range sequence(ctx) {
			select {
			case queue <- outcome[T]{item, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		<-finished
		stream.close()
	}()
	ended, err := pump(s, c, stream, queue, func(o outcome[T]) error {
		if o.err != nil {
			_, body := s.explain(c, o.err)
			return stream.send("failure", 0, body)
		}
		return stream.send(name, 0, o.item)
	})
	if err != nil || !ended || stream.ctx.Err() != nil {
		s.cfg.Log.DebugContext(c.Request.Context(), "an event stream was left", "route", routeOf(c), "error", err)
		return nil // nobody is left to tell
	}
	if err := stream.send("end", 0, struct{}{}); err != nil {
		return nil //nolint:nilerr // nobody is left to tell
	}
	_ = stream.flush() // nobody is left to tell
	return nil
}
