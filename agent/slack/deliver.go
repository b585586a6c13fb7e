package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"hks.dev/hks/agent"
)

// errNotSlack is for an answer that says neither yes nor no.
var errNotSlack = errors.New("what answers there does not speak as Slack does")

// posted is where a message came to be.
type posted struct {
	place
	alone bool // it was to be a reply, and its thread is gone
}

// deliver posts or updates a message: with its picture, which Slack may need
// a moment to take in; without it; as plain text. Only what Slack says of
// the blocks leads on to the next way; anything else is the caller's.
func (b talk) deliver(ctx context.Context, r agent.Report, l layout, p picture, options ...api.MsgOption) (posted, error) {
	try := func(p picture, body ...api.MsgOption) (posted, error) {
		_, at, message, err := b.client.PostMessageWithResponseContext(ctx, b.channel.Target, api.MsgOptionCompose(options...), api.MsgOptionCompose(body...),
			api.MsgOptionDisableLinkUnfurl(), api.MsgOptionDisableMediaUnfurl())
		if err == nil && at == "" {
			err = fmt.Errorf("posting to Slack: %w", errNotSlack)
		}
		return posted{place{b.channel.Target, at, p.file}, message.ThreadTimestamp == ""}, err
	}
	text := api.MsgOptionText(sentence(r), false)
	done, err := try(p, text, api.MsgOptionBlocks(blocks(r, l, p)...))
	for _, wait := range b.settle {
		if p.file == "" || !aboutPicture(err) {
			break
		}
		select {
		case <-ctx.Done():
			return posted{}, ctx.Err()
		case <-time.After(wait):
		}
		done, err = try(p, text, api.MsgOptionBlocks(blocks(r, l, p)...))
	}
	if p.file != "" && aboutBlocks[word(err)] {
		b.log.WarnContext(ctx, "Slack does not take a report's picture", "channel", b.channel.Name, "error", explain(err, b.channel))
		p = picture{lost: "Slack says " + word(err)}
		done, err = try(p, text, api.MsgOptionBlocks(blocks(r, l, p)...))
	}
	if aboutBlocks[word(err)] {
		b.log.WarnContext(ctx, "Slack does not take a report's blocks", "channel", b.channel.Name, "error", explain(err, b.channel))
		done, err = try(picture{}, api.MsgOptionText(plain(r), false), api.MsgOptionBlocks())
	}
	return done, err
}

// aboutPicture tells whether Slack refuses the blocks because of the file in
// them: it takes uploads in after it has said that they are complete.
func aboutPicture(err error) bool {
	e, ok := errors.AsType[api.SlackErrorResponse](err)
	if !ok || !aboutBlocks[e.Err] {
		return false
	}
	said := strings.Join(e.ResponseMetadata.Messages, " ")
	for _, more := range e.Errors {
		if more.Message != nil {
			said += " " + *more.Message
		}
	}
	return strings.Contains(said, "slack_file") || strings.Contains(said, "slack file")
}

// mostAnswer bounds what is read of a webhook's answer, bytes.
const mostAnswer = 64 << 10

// post sends by an incoming webhook. The library keeps back what Slack says
// there, which is what the owner needs, so the request is made here.
func (s *Sender) post(ctx context.Context, c agent.Channel, m agent.Message) error {
	l := full
	if m.Report.Kind == agent.ReportResolved {
		l = followUp // there is nothing above it that could be changed
	}
	list := blocks(m.Report, l, picture{})
	if l == followUp {
		list = append([]api.Block{api.NewHeaderBlock(api.NewTextBlockObject(api.PlainTextType, cut(header(m.Report), mostHeader), false, false))}, list...)
	}
	said, err := s.webhook(ctx, c, &api.WebhookMessage{Text: sentence(m.Report), Blocks: &api.Blocks{BlockSet: list}})
	if err != nil && aboutBlocks[said] {
		s.log.WarnContext(ctx, "Slack does not take a report's blocks", "channel", c.Name, "error", err)
		_, err = s.webhook(ctx, c, &api.WebhookMessage{Text: plain(m.Report)})
	}
	return err
}

// webhook posts once. It returns Slack's word where it refuses.
func (s *Sender) webhook(ctx context.Context, c agent.Channel, message *api.WebhookMessage) (said string, err error) {
	no := false
	message.UnfurlLinks, message.UnfurlMedia = &no, &no
	fail := func(final bool, after time.Duration, format string, args ...any) error {
		return &agent.SendError{Final: final, After: after, Cause: errors.New(hide(fmt.Sprintf(format, args...), c))}
	}
	data, err := json.Marshal(message)
	if err != nil {
		return "", fail(true, 0, "the report can't be written as JSON: %s", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(data))
	if err != nil {
		return "", fail(true, 0, "this is not the address of an incoming webhook")
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		return "", explain(err, c)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil && answer.StatusCode != http.StatusOK {
		raw = nil
	}
	said = webhookWord(raw)
	switch {
	case answer.StatusCode == http.StatusOK && said == "ok":
		return "", nil
	case answer.StatusCode == http.StatusTooManyRequests:
		after := defaultWait
		if n, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && n > 0 {
			after = time.Duration(n) * time.Second
		}
		return said, fail(false, after, "Slack asks to wait %s: too many messages", after)
	case answer.StatusCode == http.StatusOK && said == "":
		return "", fail(true, 0, "%s: check the webhook's address", errNotSlack)
	case answer.StatusCode == http.StatusOK:
		return said, explain(api.SlackErrorResponse{Err: said}, c)
	}
	return said, status(answer.StatusCode, said, fail)
}

// webhookWord reads a webhook's answer, which is a word, or JSON with ok and
// error; "" where it is something else.
func webhookWord(raw []byte) string {
	text := strings.TrimSpace(string(raw))
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if strings.HasPrefix(text, "{") && json.Unmarshal(raw, &answer) == nil {
		if answer.OK {
			return "ok"
		}
		text = answer.Error
	}
	if len(text) > 60 || strings.ContainsFunc(text, func(r rune) bool { return !(r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9') }) {
		return ""
	}
	return text
}
