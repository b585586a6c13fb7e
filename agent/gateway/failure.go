package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"hks.dev/hks/agent"
)

// The gateway's own answers say why in the header X-Hks-Error.
const (
	errorHeader = "X-Hks-Error"

	codeNoRoute     agent.Code = "NO_ROUTE"          // no app has this host and path
	codeNoInstance  agent.Code = "NO_READY_INSTANCE" // the app has nothing that could answer
	codeUpstream    agent.Code = "UPSTREAM_FAILED"   // the app was asked and gave no answer
	codeMaintenance agent.Code = "MAINTENANCE"       // the app's owner asked for the maintenance page
	codeClientGone  agent.Code = "CLIENT_GONE"       // for the log only
)

// failure is an answer of the gateway's own.
type failure struct {
	status  int
	code    agent.Code
	message string
	fix     string
	cause   error
	retry   int // seconds, of the header Retry-After; 0: of the status
}

// How long a client is told to wait, in seconds.
const (
	retryInstance    = 5
	retryMaintenance = 60
)

// maintenance is the page that the owner of an app asked for.
func maintenance(c *call, message string) *failure {
	if message == "" {
		message = fmt.Sprintf("%s is down for maintenance.", visible(c.host))
	}
	return &failure{
		status: http.StatusServiceUnavailable, code: codeMaintenance, retry: retryMaintenance,
		message: message, fix: "Please come back in a few minutes.",
	}
}

func noRoute(host string) *failure {
	return &failure{
		status: http.StatusNotFound, code: codeNoRoute,
		message: fmt.Sprintf("No app is reachable at %s.", visible(host)),
		fix:     "Check the address; \"hks app list\" shows the address of every app.",
	}
}

func noReadyInstance(c *call) *failure {
	return &failure{
		status: http.StatusServiceUnavailable, code: codeNoInstance,
		message: fmt.Sprintf("The app at %s has no instance that is ready.", visible(c.host)),
		fix:     "Try again in a moment; \"hks app list\" shows whether it is stopped, starting or failing.",
	}
}

func upstreamFailed(c *call, err error) *failure {
	if wrapped, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		err = wrapped.Err // without Caddy's own id and place in its code
	}
	return &failure{
		status: http.StatusBadGateway, code: codeUpstream, cause: err,
		message: fmt.Sprintf("The app at %s did not answer.", visible(c.host)),
		fix:     "Try again in a moment; \"hks logs\" of the app shows what happened to it.",
	}
}

func clientGone() *failure {
	return &failure{status: statusClientGone, code: codeClientGone}
}

// visible shortens a host that a client made up.
func visible(host string) string {
	const most = 253 // of a host name
	if len(host) > most {
		return host[:most] + "..."
	}
	return host
}

// write answers the request, as HTML to browsers and as JSON to the rest.
func (f *failure) write(rec *recorder, r *http.Request, id string) {
	rec.failure = string(f.code)
	if f.cause != nil {
		rec.failure += ": " + f.cause.Error()
	}
	if f.code == codeClientGone {
		rec.status = statusClientGone
		return
	}
	body, contentType := f.body(strings.Contains(r.Header.Get("Accept"), "text/html"), id)
	h := rec.Header()
	delete(h, "Server")
	h.Set(errorHeader, string(f.code))
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(cmp.Or(f.retry, retryInstance)))
	}
	rec.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = rec.Write(body) // the client may be gone; there is nobody else to tell
	}
}

func (f *failure) body(html bool, id string) (body []byte, contentType string) {
	var out bytes.Buffer
	if html {
		view := map[string]any{"Status": f.status, "Code": f.code, "Message": f.message, "Fix": f.fix, "ID": id}
		if page.Execute(&out, view) == nil {
			return out.Bytes(), "text/html; charset=utf-8"
		}
		out.Reset()
	}
	// strings and a map of them: encoding cannot fail
	_ = json.NewEncoder(&out).Encode(map[string]any{"error": map[string]any{
		"code": f.code, "message": f.message, "fix": f.fix, "details": map[string]string{"requestId": id},
	}})
	return out.Bytes(), "application/json"
}

var page = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Message}}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:18vh auto 0;padding:0 1.5rem}h1{font-size:1.35rem}small{opacity:.65}</style>
<h1>{{.Message}}</h1>
<p>{{.Fix}}</p>
<p><small>{{.Status}} {{.Code}} &middot; request {{.ID}}</small></p>
</html>
`))
