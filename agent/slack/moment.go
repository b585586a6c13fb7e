package slack

import (
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// moment writes a time so that Slack shows it in the reader's time zone.
func moment(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), agent.Clock(t))
}
