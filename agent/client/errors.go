package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"

	"hks.dev/hks/agent"
)

// Codes of failures that no answer of the API has, because none came.
const (
	CodeUnreachable  agent.Code = "UNREACHABLE"         // nothing answers there
	CodeCertificate  agent.Code = "CERTIFICATE_CHANGED" // another certificate than the pinned one
	CodeNotTrusted   agent.Code = "CERTIFICATE_UNKNOWN" // no fingerprint is known, and no authority vouches for it
	CodeNotAppliance agent.Code = "NOT_AN_APPLIANCE"    // something else answers there
)

// envelope is the form of the API's errors.
type envelope struct {
	Error *struct {
		Code    agent.Code     `json:"code"`
		Message string         `json:"message"`
		Fix     string         `json:"fix"`
		Details map[string]any `json:"details"`
	} `json:"error"`
}

func isJSON(answer *http.Response) bool {
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// refusal turns an answer that is no success into an *agent.Error.
func (c *Client) refusal(answer *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil || !isJSON(answer) {
		return c.notAnAppliance(answer)
	}
	e := decodeError(data)
	if e == nil {
		return c.notAnAppliance(answer)
	}
	if e.Code == agent.CodeUnauthorized && !c.Local() {
		e.Fix = strings.ReplaceAll(e.Fix, "hks login URL", "hks login "+c.where)
	}
	return e
}

// decodeError returns nil when data holds no error of the API.
func decodeError(data []byte) *agent.Error {
	var body envelope
	if err := json.Unmarshal(data, &body); err != nil || body.Error == nil || body.Error.Code == "" {
		return nil
	}
	return &agent.Error{Code: body.Error.Code, Message: body.Error.Message, Fix: body.Error.Fix, Details: body.Error.Details}
}

func (c *Client) notAnAppliance(answer *http.Response) error {
	if answer.StatusCode >= 500 {
		return agent.Errorf(CodeUnreachable, "look at the agent's log on the appliance, then try again",
			"%s answers with HTTP status %d and no explanation", c.where, answer.StatusCode)
	}
	return agent.Errorf(CodeNotAppliance, "check the address and the port; the API listens on 8443 unless api.listen says otherwise",
		"what answers at %s is not an hks appliance (HTTP status %d)", c.where, answer.StatusCode)
}

// explain turns a failure to speak to the appliance into what happened, why
// and what to do.
func (c *Client) explain(err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return e // of what was to be sent
	}
	if e, ok := errors.AsType[*mismatchError](err); ok {
		return &agent.Error{
			Code: CodeCertificate,
			Message: fmt.Sprintf("the appliance at %s shows another certificate than the one you trust: someone may be intercepting the connection, or it was installed anew\n"+
				"  known: %s\n  shown: %s", c.where, e.want, e.got),
			Fix: fmt.Sprintf("run hks version on the appliance itself; only if it names the same fingerprint as shown here: hks login %s --fingerprint %s",
				c.where, e.got),
			Details: map[string]any{"known": e.want, "shown": e.got},
			Cause:   err,
		}
	}
	if c.Local() {
		return c.explainSocket(err)
	}
	message, fix := c.describe(err)
	code := CodeUnreachable
	if isCertificate(err) {
		code = CodeNotTrusted
	}
	return &agent.Error{Code: code, Message: message, Fix: fix, Cause: err}
}

func isCertificate(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

func (c *Client) describe(err error) (message, fix string) {
	running := "check that the appliance runs (systemctl status hks-agent there) and that the address and the port are right"
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the appliance at %s can't be reached: the host name %s is not known", c.where, dns.Name),
			"check the spelling, or use the machine's address"
	}
	if isCertificate(err) {
		return fmt.Sprintf("the certificate of %s is not one that this machine trusts: %s", c.where, certificateReason(err)),
			"trust it by its fingerprint: hks login " + c.where
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return fmt.Sprintf("what answers at %s does not speak TLS", c.where), "check the port; the API listens on 8443 unless api.listen says otherwise"
	}
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.Canceled): // our own watch, the caller's end was told apart
		return fmt.Sprintf("the connection to the appliance at %s was given up: nothing moved on it", c.where), "try again; look at the load of the appliance: hks status"
	case errors.Is(err, errEnded):
		return fmt.Sprintf("the appliance at %s broke off", c.where), "try again; if the agent was just restarted, it is back in a moment"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the appliance at %s can't be reached: nothing listens there", c.where), running
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("the appliance at %s can't be reached: there is no route to it", c.where), "check this machine's network, and the VPN if there is one"
	case isTimeout(err):
		return fmt.Sprintf("the appliance at %s can't be reached: it did not answer in time", c.where),
			"check the address, and that a firewall lets the port through"
	}
	return fmt.Sprintf("the connection to the appliance at %s failed: %s", c.where, root(err)), running
}

func (c *Client) explainSocket(err error) error {
	reason, fix := root(err).Error(), "look at the agent's log (journalctl -u hks-agent), or run make up"
	switch {
	case errors.Is(err, fs.ErrPermission):
		reason, fix = "only root may use it", "use sudo, or log in as the owner: hks login https://localhost:8443"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		reason, fix = "the agent is not running", "start it: systemctl start hks-agent, or make up in a checkout"
	case errors.Is(err, errSilent), errors.Is(err, context.Canceled), isTimeout(err):
		reason = "the agent did not answer in time"
	}
	return &agent.Error{Code: CodeUnreachable, Message: fmt.Sprintf("the appliance's socket %s can't be used: %s", c.socket, reason), Fix: fix, Cause: err}
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && t.Timeout()
}

func certificateReason(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "no authority vouches for it"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is not made out to " + e.Host
	}
	return strings.TrimPrefix(root(err).Error(), "x509: ")
}

// root returns the innermost error: what the operating system said.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
