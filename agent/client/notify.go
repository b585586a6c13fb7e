package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"hks.dev/hks/agent"
)

func channelPath(name, rest string) string {
	return "/api/channels/" + url.PathEscape(name) + rest
}

// Channels lists where reports go. Secrets are hidden.
func (c *Client) Channels(ctx context.Context) ([]agent.Channel, error) {
	var channels []agent.Channel
	return channels, c.call(ctx, http.MethodGet, "/api/channels", nil, &channels)
}

// PutChannel makes a channel, or writes it in place of the one of its name; a
// secret that is agent.HiddenValue stays as it is.
func (c *Client) PutChannel(ctx context.Context, channel agent.Channel) (agent.Channel, error) {
	var kept agent.Channel
	return kept, c.call(ctx, http.MethodPut, channelPath(channel.Name, ""), channel, &kept)
}

// DeleteChannel forgets a channel; reports that wait for it are not sent.
func (c *Client) DeleteChannel(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, channelPath(name, ""), nil, nil)
}

// TestChannel sends a report to a channel and returns when it was taken.
func (c *Client) TestChannel(ctx context.Context, name string) error {
	return c.callWithin(ctx, slowTimeout, http.MethodPost, channelPath(name, "/test"), nil, nil)
}

// Reports lists reports on their way to channels, the newest first.
func (c *Client) Reports(ctx context.Context, limit int) ([]agent.ReportDelivery, error) {
	var reports []agent.ReportDelivery
	return reports, c.call(ctx, http.MethodGet, fmt.Sprintf("/api/reports?limit=%d", limit), nil, &reports)
}

// RetryReports tries at once what waits or was given up, for one channel or,
// with an empty name, for all. It returns how many there are.
func (c *Client) RetryReports(ctx context.Context, channel string) (int, error) {
	var answer struct {
		Retried int `json:"retried"`
	}
	if err := c.call(ctx, http.MethodPost, "/api/reports/retry", map[string]string{"channel": channel}, &answer); err != nil {
		return 0, err
	}
	return answer.Retried, nil
}
