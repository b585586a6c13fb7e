package double

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// channels take what is sent to them, but for those whose address, server or
// target has "broken" in it.
type channels struct {
	publish func(kind, subject string, object any)

	mu      sync.Mutex // guards what follows
	list    []agent.Channel
	secrets map[string]agent.Channel // with what is hidden, by name
	reports []agent.ReportDelivery   // the newest first
}

const refusal = "Slack says channel_not_found: invite the app to the channel, then test it again"

func newChannels(seed bool, publish func(kind, subject string, object any)) *channels {
	w := &channels{publish: publish, secrets: map[string]agent.Channel{}}
	if !seed {
		return w
	}
	now := time.Now().UTC()
	w.list = []agent.Channel{
		{Name: "team", Kind: agent.ChannelSlackWebhook, URL: agent.HiddenValue, LastSent: now.Add(-40 * time.Minute), CreatedAt: now.Add(-240 * time.Hour)},
		{Name: "alerts", Kind: agent.ChannelSlackBot, Token: agent.HiddenValue, Target: "C0BROKEN1", Failure: refusal, Waiting: 1, CreatedAt: now.Add(-3 * time.Hour)},
	}
	for _, c := range w.list {
		w.secrets[c.Name] = c
	}
	text := "The memory of backend has grown without a pause since release 2 began to serve."
	w.reports = []agent.ReportDelivery{
		{ID: 4, Channel: "alerts", Kind: agent.ReportReminder, Incident: 3, Text: "Still going on after 30 min: " + text, State: agent.DeliveryWaiting, Attempts: 2, Failure: "Slack answers with status 503", CreatedAt: now.Add(-10 * time.Minute), NextAt: now.Add(4 * time.Minute)},
		{ID: 3, Channel: "alerts", Kind: agent.ReportOpened, Incident: 3, Text: text, State: agent.DeliveryFailed, Attempts: 1, Failure: refusal, CreatedAt: now.Add(-40 * time.Minute)},
		{ID: 2, Channel: "team", Kind: agent.ReportOpened, Incident: 3, Text: text, State: agent.DeliverySent, Attempts: 1, CreatedAt: now.Add(-40 * time.Minute), SentAt: now.Add(-40 * time.Minute)},
		{ID: 1, Channel: "team", Kind: agent.ReportResolved, Incident: 1, Text: "Resolved after 1 h 0 min: blog in staging was ended for its memory.", State: agent.DeliverySent, Attempts: 1, CreatedAt: now.Add(-25 * time.Hour), SentAt: now.Add(-25 * time.Hour)},
	}
	return w
}

func (w *channels) List(context.Context) ([]agent.Channel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list), nil
}

func (w *channels) Put(_ context.Context, c agent.Channel) (agent.Channel, error) {
	if err := agent.ValidateName("channel", c.Name); err != nil {
		return agent.Channel{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.secrets[c.Name]
	for _, pair := range [][2]*string{{&c.URL, &old.URL}, {&c.Token, &old.Token}, {&c.Password, &old.Password}} {
		if *pair[0] == agent.HiddenValue {
			*pair[0] = *pair[1]
		}
	}
	if c.Kind != agent.ChannelEmail && c.Kind != agent.ChannelSlackBot && !strings.HasPrefix(c.URL, "http") && c.URL != agent.HiddenValue {
		return agent.Channel{}, agent.Errorf(agent.CodeInvalid, "give a whole address that begins with https://", "the channel %s has no valid address", c.Name)
	}
	c.CreatedAt = time.Now().UTC()
	w.secrets[c.Name] = c
	for _, secret := range []*string{&c.URL, &c.Token, &c.Password} {
		if *secret != "" {
			*secret = agent.HiddenValue
		}
	}
	if n := w.find(c.Name); n >= 0 {
		w.list[n] = c
	} else {
		w.list = append(w.list, c)
	}
	w.publish("channel", c.Name, nil)
	return c, nil
}

// find is the place of a channel, -1 when there is none. The caller holds
// w.mu.
func (w *channels) find(name string) int {
	return slices.IndexFunc(w.list, func(c agent.Channel) bool { return c.Name == name })
}

func (w *channels) Delete(_ context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.find(name)
	if n < 0 {
		return noChannel(name)
	}
	w.list = slices.Delete(w.list, n, n+1)
	delete(w.secrets, name)
	w.reports = slices.DeleteFunc(w.reports, func(r agent.ReportDelivery) bool { return r.Channel == name })
	w.publish("channel", name, nil)
	return nil
}

func noChannel(name string) error {
	return agent.Errorf(agent.CodeNotFound, "list them with: hks notify list", "there is no channel %q", name)
}

func (w *channels) Test(_ context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.find(name)
	if n < 0 {
		return noChannel(name)
	}
	c := w.secrets[name]
	if strings.Contains(strings.ToLower(c.URL+c.Target+c.Server), "broken") {
		w.list[n].Failure = refusal
		return agent.Errorf(agent.CodeChannel, "mend it, then: hks notify test "+name, "%s did not take the report: %s", name, refusal)
	}
	w.list[n].Failure, w.list[n].LastSent = "", time.Now().UTC()
	w.publish("channel", name, nil)
	return nil
}

func (w *channels) Reports(_ context.Context, limit int) ([]agent.ReportDelivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.reports[:min(limit, len(w.reports))]), nil
}

func (w *channels) Retry(_ context.Context, name string) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n int64
	for i := range w.reports {
		r := &w.reports[i]
		if (name == "" || r.Channel == name) && r.State != agent.DeliverySent {
			r.State, r.NextAt, r.Attempts = agent.DeliveryWaiting, time.Now().UTC().Add(time.Minute), r.Attempts+1
			n++
		}
	}
	return n, nil
}
