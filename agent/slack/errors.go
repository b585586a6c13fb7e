package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"hks.dev/hks/agent"
)

// defaultWait is kept where Slack says 429 and not for how long.
const defaultWait = 30 * time.Second

// hopeless are Slack's words for what another try does not change, and what
// to do. Words that are not here are tried again: a message too many is
// better than one too few.
var hopeless = map[string]string{
	// the token
	"invalid_auth":              "make a new token at Slack, then give it to hks",
	"not_authed":                "give the channel a token",
	"account_inactive":          "the app or its workspace is gone from Slack: install it again, then give hks the new token",
	"token_revoked":             "install the app again at Slack, then give hks the new token",
	"token_expired":             "make a token that does not expire at Slack, then give it to hks",
	"no_permission":             "give the app the scopes chat:write and files:write at Slack and install it again",
	"missing_scope":             "give the app the scopes chat:write and files:write at Slack and install it again",
	"not_allowed_token_type":    "use the Bot User OAuth Token, which begins with xoxb-",
	"access_denied":             "ask an administrator of the Slack workspace to allow the app",
	"org_login_required":        "the Slack workspace is being moved by its organisation: install the app again when that is over",
	"team_access_not_granted":   "ask an administrator of the Slack organisation to allow the app in this workspace",
	"ekm_access_denied":         "an administrator of Slack has suspended messages: ask them",
	"two_factor_setup_required": "the Slack workspace asks for two-factor authentication first",
	// the channel
	"channel_not_found":                        "check the channel's id, and invite the app where the channel is private: /invite @APP in the channel",
	"not_in_channel":                           "invite the app: /invite @APP in the channel",
	"is_archived":                              "unarchive the channel at Slack, or choose another",
	"channel_is_archived":                      "unarchive the channel at Slack, or choose another",
	"restricted_action":                        "the Slack workspace does not let apps post there: ask its administrator, or choose another channel",
	"restricted_action_read_only_channel":      "nobody may post in this channel: choose another",
	"restricted_action_non_threadable_channel": "this channel takes no threads: choose another",
	"restricted_action_thread_only_channel":    "this channel takes replies only: choose another",
	"posting_to_general_channel_denied":        "apps may not post in the general channel: choose another",
	"posting_to_channel_denied":                "the Slack workspace does not let apps post there: choose another channel",
	"messages_tab_disabled":                    "this is the app's own conversation, and it is off: choose a channel",
	"cannot_reply_to_message":                  "Slack does not take replies to this message",
	// the webhook
	"no_service":        "the webhook was removed at Slack: make a new one, then give it to hks",
	"no_service_id":     "the webhook's address is not whole: copy it again from Slack, then give it to hks",
	"no_team":           "the Slack workspace of this webhook is gone: make a new one, then give it to hks",
	"team_disabled":     "the Slack workspace of this webhook is gone: make a new one, then give it to hks",
	"user_not_found":    "who made the webhook is gone: make a new one, then give it to hks",
	"invalid_token":     "the webhook's address is not whole: copy it again from Slack, then give it to hks",
	"action_prohibited": "an administrator of Slack has forbidden this: ask them",
	"posting_disabled":  "an administrator of Slack has forbidden this: ask them",
	// the message; a fault of ours, which no try mends
	"invalid_blocks":        "",
	"invalid_blocks_format": "",
	"invalid_payload":       "",
	"invalid_arguments":     "",
	"invalid_array_arg":     "",
	"invalid_form_data":     "",
	"no_text":               "",
	"msg_too_long":          "",
	"msg_blocks_too_long":   "",
	"too_many_attachments":  "",
	"unknown_method":        "the address of the API is not Slack's",
	"method_deprecated":     "hks is too old for Slack: upgrade it",
	"deprecated_endpoint":   "hks is too old for Slack: upgrade it",
}

// aboutBlocks are the words after which the same in plain text may pass.
var aboutBlocks = map[string]bool{
	"invalid_blocks": true, "invalid_blocks_format": true, "msg_too_long": true, "msg_blocks_too_long": true, "invalid_payload": true, "invalid_arguments": true,
}

// word is what Slack itself said; "" where it did not speak.
func word(err error) string {
	if e, ok := errors.AsType[api.SlackErrorResponse](err); ok {
		return e.Err
	}
	return ""
}

// explain turns an error of a call into an *agent.SendError whose text holds
// no secret of the channel.
func explain(err error, c agent.Channel) error {
	if err == nil {
		return nil
	}
	fail := func(final bool, after time.Duration, format string, args ...any) error {
		return &agent.SendError{Final: final, After: after, Cause: errors.New(hide(fmt.Sprintf(format, args...), c))}
	}
	if e, ok := errors.AsType[*agent.SendError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*api.RateLimitedError](err); ok {
		return fail(false, e.RetryAfter, "Slack asks to wait %s: too many messages", e.RetryAfter)
	}
	if e, ok := errors.AsType[api.StatusCodeError](err); ok {
		return status(e.Code, "", fail)
	}
	if e, ok := errors.AsType[api.SlackErrorResponse](err); ok {
		if e.Err == "ratelimited" || e.Err == "rate_limited" || e.Err == "message_limit_exceeded" {
			return fail(false, defaultWait, "Slack says %s: too many messages", e.Err)
		}
		fix, final := hopeless[e.Err]
		text := "Slack says " + e.Err
		if e.Needed != "" {
			text += ", needed: " + e.Needed
		}
		if len(e.ResponseMetadata.Messages) > 0 {
			text += " (" + strings.Join(e.ResponseMetadata.Messages, "; ") + ")"
		}
		if fix != "" {
			text += ": " + fix
		}
		return fail(final, 0, "%s", clip(text, 600))
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, errNotSlack) {
		return fail(false, 0, "%s: a proxy may stand between, or the address of the API is wrong", errNotSlack)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fail(false, 0, "Slack did not answer in time")
	}
	// The library's error names the address, which is the webhook's secret.
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fail(false, 0, "Slack did not answer in time")
		}
		err = e.Err
	}
	return fail(false, 0, "Slack can't be reached: %s", clip(err.Error(), 300))
}

// status explains an answer by its code, and its words, which are Slack's own
// with webhooks.
func status(code int, words string, fail func(final bool, after time.Duration, format string, args ...any) error) error {
	said := strconv.Itoa(code)
	if words != "" {
		said += " " + words
	}
	if fix, ok := hopeless[words]; ok {
		if fix != "" {
			said += ": " + fix
		}
		return fail(true, 0, "Slack says %s", said)
	}
	switch {
	case code == http.StatusTooManyRequests:
		return fail(false, defaultWait, "Slack asks to wait: too many messages")
	case code == http.StatusRequestTimeout || code >= 500:
		return fail(false, 0, "Slack says %s", said)
	case code >= 300 && code < 400:
		return fail(true, 0, "the address sends elsewhere (%s): give the one it leads to", said)
	}
	return fail(true, 0, "Slack says %s: check the channel's address and token", said)
}

// hide takes a channel's secrets out of a text.
func hide(text string, c agent.Channel) string {
	for _, secret := range []string{c.URL, c.Token} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, agent.HiddenValue)
		}
	}
	if u, err := url.Parse(c.URL); err == nil && len(u.Path) > 1 {
		text = strings.ReplaceAll(text, u.Path, agent.HiddenValue)
	}
	return text
}

// clip cuts an error's text.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
