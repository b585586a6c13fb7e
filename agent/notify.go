package agent

import "time"

// The kinds of a channel.
const (
	ChannelSlackBot     = "slack-bot"     // a token of a Slack app: charts, edits, threads
	ChannelSlackWebhook = "slack-webhook" // an incoming webhook of Slack: text only
	ChannelWebhook      = "webhook"       // JSON to any address
	ChannelEmail        = "email"         // SMTP
)

// Channel is where reports go. Secret fields are written, never read back:
// answers hold HiddenValue.
type Channel struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	URL      string `json:"url,omitempty"`      // of a webhook; secret
	Token    string `json:"token,omitempty"`    // of a Slack app; secret
	Target   string `json:"target,omitempty"`   // the id of a Slack channel
	API      string `json:"api,omitempty"`      // another address of Slack's API
	Server   string `json:"server,omitempty"`   // host:port of the mail server
	Username string `json:"username,omitempty"` // at the mail server
	Password string `json:"password,omitempty"` // at the mail server; secret
	From     string `json:"from,omitempty"`     // the sender's address
	To       string `json:"to,omitempty"`       // the receiver's address
	Security string `json:"security,omitempty"` // of mail: starttls (default), tls, none

	Failure   string    `json:"failure,omitempty"` // what the last try met; empty: it went well
	Waiting   int       `json:"waiting"`           // reports that are still to be sent
	LastSent  time.Time `json:"lastSent,omitzero"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
}

// The kinds of a report.
const (
	ReportOpened   = "opened"
	ReportReminder = "reminder" // it still goes on
	ReportWorse    = "worse"    // its severity rose
	ReportReopened = "reopened"
	ReportResolved = "resolved"
	// ReportExplained has a language model's words in the incident. It changes
	// the first message where a channel can do that, and is no message otherwise.
	ReportExplained = "explained"
	ReportFlapping  = "flapping" // it comes and goes; told once
	ReportDigest    = "digest"   // many at once
	ReportTest      = "test"
	ReportNotice    = "notice" // news that is no incident, such as a run that passes again
)

// Report is what a channel is told.
type Report struct {
	Kind     string     `json:"kind"`
	Incident *Incident  `json:"incident,omitempty"`
	Digest   []Incident `json:"digest,omitempty"` // of a storm, in short
	Text     string     `json:"text"`             // one plain sentence that stands for all
	Link     string     `json:"link,omitempty"`   // to the incident's page
	Chart    *Chart     `json:"chart,omitempty"`
}

// Chart is the picture of a report.
type Chart struct {
	Title  string        `json:"title"`
	Unit   string        `json:"unit"` // bytes, cores, ms
	Limit  float64       `json:"limit,omitempty"`
	Points []SeriesPoint `json:"points"`
	Marks  []ChartMark   `json:"marks,omitempty"`
}

// ChartMark is a moment in a chart.
type ChartMark struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"` // release 12, restart
}

// Delivery states of a report to one channel.
const (
	DeliveryWaiting = "waiting"
	DeliverySent    = "sent"
	DeliveryFailed  = "failed" // given up; Failure says why
)

// ReportDelivery is a report on its way to one channel.
type ReportDelivery struct {
	ID        int64     `json:"id"`
	Channel   string    `json:"channel"`
	Kind      string    `json:"kind"`
	Incident  int64     `json:"incident,omitempty"`
	Text      string    `json:"text"`
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	Failure   string    `json:"failure,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	NextAt    time.Time `json:"nextAt,omitzero"`
	SentAt    time.Time `json:"sentAt,omitzero"`
}

// SendError tells why a channel did not take a report, and whether to try
// again.
type SendError struct {
	Final bool          // trying again is no use: the channel's settings are wrong
	After time.Duration // before the next try, as the channel asks; 0: it does not say
	Cause error
}

// Error returns the cause's words.
func (e *SendError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// Message is a report as a channel gets it.
type Message struct {
	Report  Report
	Picture []byte // of the report's chart, PNG; nil: none
	Ref     string // what the channel calls the first message of the same incident; empty: there is none
}
