// Package webhook brings reports to any address, as JSON.
//
// A report is one POST with the body
//
//	{
//	  "version": 1,
//	  "kind": "opened",          // reminder, worse, reopened, resolved, flapping, digest, test, notice
//	  "text": "one plain sentence that stands for all",
//	  "link": "https://.../incidents/7",
//	  "incident": {...},         // as the API shows it: id, title, severity, status, subject, evidence, remedies ...
//	  "digest": [{...}],         // of a storm: incidents in short
//	  "chart": {...}             // title, unit, limit, points, marks
//	}
//
// and these headers: Content-Type application/json; X-Hks-Event, the kind;
// X-Hks-Delivery, which is the same when the same message is tried again;
// and, where the channel has a token, X-Hks-Signature: "sha256=" and the
// hexadecimal HMAC-SHA256 of the body with the token as key. Any answer of
// 200 to 299 means that the report was taken.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	callTimeout = 20 * time.Second
	defaultWait = 30 * time.Second // after a 429 that does not say
	mostWait    = time.Hour        // that an answer may ask for
	mostAnswer  = 64 << 10         // bytes of an answer that are read
)

// The headers of a report.
const (
	HeaderEvent     = "X-Hks-Event"
	HeaderDelivery  = "X-Hks-Delivery"
	HeaderSignature = "X-Hks-Signature"
)

// Config is what the sender needs.
type Config struct {
	HTTP *http.Client // nil: one of its own
}

// Sender sends to channels of the kind webhook. It is safe for concurrent use.
type Sender struct{ http *http.Client }

// New makes a sender; nothing is dialled.
func New(cfg Config) (*Sender, error) {
	client := http.Client{}
	if cfg.HTTP != nil {
		client = *cfg.HTTP
	}
	client.Timeout = cmp.Or(client.Timeout, callTimeout)
	// The address is a secret, and the report is for it alone.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sender{http: &client}, nil
}

// Check tells what is wrong with a channel's settings, as an *agent.Error;
// nothing is dialled.
func (s *Sender) Check(c agent.Channel) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return agent.Errorf(agent.CodeInvalid, "give it as https://HOST/PATH", "this is not the address of a webhook")
	}
	return nil
}

// body is what is posted.
type body struct {
	Version int `json:"version"`
	agent.Report
}

// Send posts one report. An error is an *agent.SendError; there is no ref.
func (s *Sender) Send(ctx context.Context, c agent.Channel, m agent.Message) (string, error) {
	if err := s.Check(c); err != nil {
		return "", &agent.SendError{Final: true, Cause: withFix(err)}
	}
	data, err := json.Marshal(body{Version: 1, Report: m.Report})
	if err != nil {
		return "", fail(c, true, 0, "the report can't be written as JSON: %s", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(data))
	if err != nil {
		return "", fail(c, true, 0, "this is not the address of a webhook")
	}
	sum := sha256.Sum256(data)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "hks")
	r.Header.Set(HeaderEvent, m.Report.Kind)
	r.Header.Set(HeaderDelivery, hex.EncodeToString(sum[:16]))
	if c.Token != "" {
		r.Header.Set(HeaderSignature, Sign(data, c.Token))
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return "", unreachable(err, c)
	}
	defer answer.Body.Close()
	words, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return "", nil // whatever it says: it has the report
	}
	if err != nil {
		words = nil
	}
	return "", refused(answer, words, c)
}

// Sign is the value of X-Hks-Signature.
func Sign(body []byte, token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func refused(answer *http.Response, words []byte, c agent.Channel) error {
	said := strconv.Itoa(answer.StatusCode)
	if text := plain(string(words), 200); text != "" && !strings.HasPrefix(text, "<") {
		said += " " + text
	}
	code := answer.StatusCode
	switch {
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "":
		return fail(c, false, retryAfter(answer.Header.Get("Retry-After")), "the webhook asks to wait: it answers %s", said)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusConflict || code >= 500:
		return fail(c, false, 0, "the webhook answers %s", said)
	case code >= 300 && code < 400:
		return fail(c, true, 0, "the webhook sends elsewhere (%s): give the address it leads to", said)
	}
	return fail(c, true, 0, "the webhook answers %s: check its address and token", said)
}

// retryAfter reads the header, which is in seconds or a date.
func retryAfter(text string) time.Duration {
	wait := defaultWait
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, time.Second), mostWait)
}

func unreachable(err error, c agent.Channel) error {
	// The library's error names the address, which is a secret.
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fail(c, false, 0, "the webhook did not answer in time")
		}
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fail(c, false, 0, "the webhook did not answer in time")
	}
	return fail(c, false, 0, "the webhook can't be reached: %s", plain(err.Error(), 300))
}

// fail makes an error whose text holds no secret of the channel.
func fail(c agent.Channel, final bool, after time.Duration, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	secrets := []string{c.URL, c.Token}
	if u, err := url.Parse(c.URL); err == nil && len(u.Path) > 1 {
		secrets = append(secrets, u.RequestURI(), u.Path)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, agent.HiddenValue)
		}
	}
	return &agent.SendError{Final: final, After: after, Cause: errors.New(text)}
}

// plain makes one line of words of others and cuts it to a length in bytes.
func plain(text string, most int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// withFix puts what to do into the error's words, as those alone are kept.
func withFix(err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok && e.Fix != "" {
		return fmt.Errorf("%w: %s", err, e.Fix)
	}
	return err
}
