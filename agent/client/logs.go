package client

import (
	"context"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

// catchUp is how many lines an instance are asked for again after a break;
// those already seen are dropped.
const catchUp = 1000

// Logs yields log lines. With q.Follow it goes on over broken connections
// until ctx ends, and no line comes twice.
func (c *Client) Logs(ctx context.Context, app string, env agent.Environment, q agent.LogQuery) iter.Seq2[agent.LogLine, error] {
	return func(yield func(agent.LogLine, error) bool) {
		last := make(map[string]time.Time) // by instance
		var before map[string]time.Time    // last, when the connection was made
		path := func() string {
			again := q
			if before = maps.Clone(last); len(before) > 0 {
				again.Tail, again.Since = catchUp, 0
			}
			return appPath(app, env, "/logs?"+logValues(again).Encode())
		}
		source := c.follow(ctx, path)
		if !q.Follow {
			source = c.once(ctx, path())
		}
		for f, err := range source {
			if err != nil {
				yield(agent.LogLine{}, err)
				return
			}
			line, err := unmarshal[agent.LogLine](f)
			if err == nil && q.Follow {
				if seen, ok := before[line.Instance]; ok && !line.Time.After(seen) {
					continue
				}
				last[line.Instance] = line.Time
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

func logValues(q agent.LogQuery) url.Values {
	v := url.Values{}
	if q.Component != "" {
		v.Set("component", q.Component)
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	if q.Previous {
		v.Set("previous", "true")
	}
	if q.Tail > 0 {
		v.Set("tail", strconv.Itoa(q.Tail))
	}
	if q.Since > 0 {
		v.Set("since", q.Since.String())
	}
	return v
}
