// Package slack brings reports to Slack: by the token of an app, with
// pictures, edits and threads, or by an incoming webhook, with text only.
package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// PublicURL is the API of slack.com.
const PublicURL = "https://slack.com/api/"

const (
	callTimeout = 20 * time.Second // of one request
	sendTimeout = 90 * time.Second // of all requests of one message
)

// Config is what the sender needs.
type Config struct {
	HTTP *http.Client // nil: one of its own
	Log  *slog.Logger // nil: the default one
}

// Sender sends to channels of the kinds slack-bot and slack-webhook. It is
// safe for concurrent use.
type Sender struct {
	http   *http.Client
	log    *slog.Logger
	settle []time.Duration // waits until Slack has taken in an uploaded picture
}

// New makes a sender; nothing is dialled.
func New(cfg Config) (*Sender, error) {
	client := http.Client{}
	if cfg.HTTP != nil {
		client = *cfg.HTTP
	}
	client.Timeout = cmp.Or(client.Timeout, callTimeout)
	// Requests carry secrets: they go nowhere but where the owner says.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sender{http: &client, log: cmp.Or(cfg.Log, slog.Default()), settle: []time.Duration{time.Second, 3 * time.Second}}, nil
}

var channelGrammar = regexp.MustCompile(`^[CGD][A-Z0-9]{8,20}$`)

// Check tells what is wrong with a channel's settings, as an *agent.Error;
// nothing is dialled.
func (s *Sender) Check(c agent.Channel) error {
	switch c.Kind {
	case agent.ChannelSlackBot:
		if !strings.HasPrefix(c.Token, "xox") || strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return agent.Errorf(agent.CodeInvalid, "copy the Bot User OAuth Token of your Slack app; it begins with xoxb-", "the token is not one of a Slack app")
		}
		if !channelGrammar.MatchString(c.Target) {
			return agent.Errorf(agent.CodeInvalid, "copy the channel's id from Slack: the channel's details, at the bottom; it looks like C0123456789", "%q is not the id of a Slack channel", c.Target)
		}
		if c.API != "" && !address(c.API) {
			return agent.Errorf(agent.CodeInvalid, "give it as https://HOST/api/", "%q is not the address of Slack's API", c.API)
		}
		return nil
	case agent.ChannelSlackWebhook:
		if !address(c.URL) {
			return agent.Errorf(agent.CodeInvalid, "copy it from Slack: your app, Incoming Webhooks; it begins with https://hooks.slack.com/", "this is not the address of an incoming webhook")
		}
		return nil
	}
	return agent.Errorf(agent.CodeInvalid, "use slack-bot or slack-webhook", "%q is no kind of Slack channel", c.Kind)
}

// address tells whether a URL may be told secrets: HTTPS, or the loopback.
func address(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Send sends one message, by all the ways Slack leaves for it: without the
// picture when that can't be had, as plain text when the blocks are refused.
// The ref it returns is CHANNEL:TIME, with :FILE where there is a picture; ""
// by webhook. An error is an *agent.SendError.
func (s *Sender) Send(ctx context.Context, c agent.Channel, m agent.Message) (ref string, err error) {
	if err := s.Check(c); err != nil {
		return "", &agent.SendError{Final: true, Cause: withFix(err)}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if c.Kind == agent.ChannelSlackWebhook {
		if m.Report.Kind == agent.ReportExplained { // nothing that was sent can be changed
			return "", nil
		}
		return "", s.post(ctx, c, m)
	}
	return s.bot(ctx, c, m)
}

// withFix puts what to do into the error's words, as those alone are kept.
func withFix(err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok && e.Fix != "" {
		return fmt.Errorf("%w: %s", err, e.Fix)
	}
	return err
}
