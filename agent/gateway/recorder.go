package gateway

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// recorder notes the status and size of the answer it passes on.
type recorder struct {
	*caddyhttp.ResponseWriterWrapper
	status  int
	bytes   int64
	failure string // why the gateway itself answered
}

// started tells whether the answer is on its way, so that no other can be given.
func (r *recorder) started() bool { return r.status != 0 }

// WriteHeader passes the status on; interim ones (1xx) are not the answer.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write passes a part of the body on.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom passes the body on from its reader.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriterWrapper.ReadFrom(src)
	r.bytes += n
	return n, err
}

// watchedBody notes whether anything of a request's body was read.
type watchedBody struct {
	io.ReadCloser
	touched atomic.Bool
}

// Read reads on.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.ReadCloser.Read(p)
}
