package aiops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Parameters of sending, with their reasons.
const (
	sendPause   = time.Second      // Slack takes about one message a second for a channel
	sendWithin  = 30 * time.Second // a picture may have to go first
	retryFirst  = 5 * time.Second
	retryMost   = 15 * time.Minute
	giveUpAfter = 24 * time.Hour // old news help nobody
	idleLook    = time.Minute
)

// Deliveries keeps the queue of reports and the channels that they go to.
type Deliveries interface {
	WaitingDeliveries(ctx context.Context) ([]store.Delivery, error)
	ReportDeliveries(ctx context.Context, limit int) ([]store.Delivery, error)
	PutDelivery(ctx context.Context, d store.Delivery) error
	RetryDeliveries(ctx context.Context, channel string) (int64, error)
	MessageRef(ctx context.Context, channel string, incident int64) (string, error)
	Channels
}

// Channels keeps where reports go.
type Channels interface {
	Channels(ctx context.Context) ([]agent.Channel, error)
	Channel(ctx context.Context, name string) (agent.Channel, bool, error)
	PutChannel(ctx context.Context, c agent.Channel) error
	DeleteChannel(ctx context.Context, name string) (bool, error)
	SetChannelState(ctx context.Context, name, failure string, sent time.Time) error
}

// Sender brings messages to channels of one kind. Its errors are
// *agent.SendError.
type Sender interface {
	// Check tells what is wrong with a channel's settings; nothing is dialled.
	Check(c agent.Channel) error
	Send(ctx context.Context, c agent.Channel, m agent.Message) (ref string, err error)
}

// ReporterConfig is what the reporter needs.
type ReporterConfig struct {
	Store   Deliveries
	Senders map[string]Sender // by kind of channel
	Draw    func(c agent.Chart) ([]byte, error)
	Publish func(kind, name string, data any)
	Now     func() time.Time
	Log     *slog.Logger
}

// Reporter sends what waits in the queue, each channel's in its order, until
// it was taken or is too old. What is in the queue outlives the agent. It is
// safe for concurrent use.
type Reporter struct {
	cfg  ReporterConfig
	wake chan struct{}
	crew agent.Crew
}

// NewReporter checks the settings.
func NewReporter(cfg ReporterConfig) (*Reporter, error) {
	if cfg.Store == nil || len(cfg.Senders) == 0 {
		return nil, errors.New("reports need a store and senders")
	}
	if cfg.Draw == nil {
		cfg.Draw = func(agent.Chart) ([]byte, error) { return nil, errors.New("nothing draws") }
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Reporter{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Start begins to send.
func (r *Reporter) Start(context.Context) error {
	if r.crew.Start() {
		r.crew.Go(r.loop)
	}
	return nil
}

// Stop ends that; what was not sent waits for the next start.
func (r *Reporter) Stop(ctx context.Context) error {
	return r.crew.Stop(ctx, "the reports")
}

// Nudge has the queue looked at.
func (r *Reporter) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default: // one is on its way
	}
}

func (r *Reporter) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		timer.Reset(r.pass(ctx))
	}
}

// pass sends the first waiting report of each channel that is due, and tells
// how long nothing will be.
func (r *Reporter) pass(ctx context.Context) time.Duration {
	waiting, err := r.cfg.Store.WaitingDeliveries(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "the queue of reports can't be read", "error", err)
		}
		return idleLook
	}
	sleep := idleLook
	var sending sync.WaitGroup
	heads := map[string]bool{}
	for _, d := range waiting {
		if heads[d.Channel] {
			sleep = min(sleep, sendPause) // one at a time, with a pause
			continue
		}
		heads[d.Channel] = true
		if wait := d.NextAt.Sub(r.cfg.Now()); wait > 0 {
			sleep = min(sleep, wait)
			continue
		}
		sleep = min(sleep, sendPause)
		sending.Go(func() { r.deliver(ctx, d) })
	}
	sending.Wait()
	return sleep
}

// deliver makes one try of one report.
func (r *Reporter) deliver(ctx context.Context, d store.Delivery) {
	channel, ok, err := r.cfg.Store.Channel(ctx, d.Channel)
	if err != nil || !ok {
		return // gone, and the report with it
	}
	message := agent.Message{Report: d.Report, Picture: r.picture(ctx, d.Report)}
	if d.Incident > 0 {
		if message.Ref, err = r.cfg.Store.MessageRef(ctx, d.Channel, d.Incident); err != nil {
			r.cfg.Log.WarnContext(ctx, "the first message of an incident can't be found", "incident", d.Incident, "error", err)
		}
	}
	ref, err := r.send(ctx, channel, message)
	if ctx.Err() != nil && err != nil {
		return // the agent stops: it is tried again after its start
	}
	now := r.cfg.Now()
	d.Attempts++
	if err == nil {
		d.State, d.Failure, d.SentAt = agent.DeliverySent, "", now
		if ref != message.Ref { // the first message, or another in place of one that is gone
			d.Ref = ref
		}
	} else {
		d = postponed(d, err, now)
	}
	keeping := context.WithoutCancel(ctx)
	if kept := r.cfg.Store.PutDelivery(keeping, d); kept != nil {
		r.cfg.Log.ErrorContext(ctx, "how a report stands can't be kept", "error", kept)
	}
	if kept := r.cfg.Store.SetChannelState(keeping, d.Channel, d.Failure, d.SentAt); kept != nil {
		r.cfg.Log.ErrorContext(ctx, "how a channel does can't be kept", "error", kept)
	}
	r.cfg.Publish("channel", d.Channel, nil)
}

// postponed decides about a report that was not taken: again later, by what
// the channel asks or twice as long as last time (with some chance in it, so
// that channels do not come all at once), or never.
func postponed(d store.Delivery, err error, now time.Time) store.Delivery {
	d.Failure = short(err.Error(), 500)
	refused, ok := errors.AsType[*agent.SendError](err)
	if ok && refused.Final || now.Sub(d.CreatedAt) >= giveUpAfter {
		d.State = agent.DeliveryFailed
		return d
	}
	wait := min(retryFirst<<min(d.Attempts-1, 10), retryMost)
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1)) //nolint:gosec // no secret
	if ok && refused.After > 0 {
		wait = refused.After
	}
	d.NextAt = now.Add(wait)
	return d
}

func (r *Reporter) send(ctx context.Context, c agent.Channel, m agent.Message) (string, error) {
	sender, ok := r.cfg.Senders[c.Kind]
	if !ok {
		return "", &agent.SendError{Final: true, Cause: fmt.Errorf("nothing sends to channels of the kind %q", c.Kind)}
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	return sender.Send(ctx, c, m)
}

// picture draws a report's chart; without one the text goes alone.
func (r *Reporter) picture(ctx context.Context, report agent.Report) []byte {
	if report.Chart == nil {
		return nil
	}
	data, err := r.cfg.Draw(*report.Chart)
	if err != nil {
		r.cfg.Log.WarnContext(ctx, "a chart could not be drawn", "error", err)
		return nil
	}
	return data
}

// Test sends a message to a channel now, and returns what the channel says.
func (r *Reporter) Test(ctx context.Context, name string) error {
	c, ok, err := r.cfg.Store.Channel(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		return noChannel(name)
	}
	_, err = r.send(ctx, c, agent.Message{Report: agent.Report{Kind: agent.ReportTest, Text: "This is a test: reports of incidents come here."}})
	failure, sent := "", r.cfg.Now()
	if err != nil {
		failure, sent = short(err.Error(), 500), time.Time{}
	}
	if kept := r.cfg.Store.SetChannelState(ctx, name, failure, sent); kept != nil {
		return kept
	}
	if err != nil {
		return agent.Errorf(agent.CodeChannel, "correct it with: hks notify add "+name, "the channel %s does not take messages: %s", name, failure)
	}
	return nil
}

func noChannel(name string) error {
	return agent.Errorf(agent.CodeNotFound, "list them with: hks notify list", "there is no channel %q", name)
}
