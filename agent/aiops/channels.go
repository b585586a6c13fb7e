package aiops

import (
	"context"

	"hks.dev/hks/agent"
)

// List returns the channels without their secrets.
func (r *Reporter) List(ctx context.Context) ([]agent.Channel, error) {
	channels, err := r.cfg.Store.Channels(ctx)
	for i := range channels {
		channels[i] = veiled(channels[i])
	}
	return channels, err
}

// Put makes a channel, or writes it in place of the one of its name; a secret
// that is agent.HiddenValue stays as it is.
func (r *Reporter) Put(ctx context.Context, c agent.Channel) (agent.Channel, error) {
	old, _, err := r.cfg.Store.Channel(ctx, c.Name)
	if err != nil {
		return agent.Channel{}, err
	}
	for _, pair := range [][2]*string{{&c.URL, &old.URL}, {&c.Token, &old.Token}, {&c.Password, &old.Password}} {
		if *pair[0] == agent.HiddenValue {
			*pair[0] = *pair[1]
		}
	}
	if err := r.check(c); err != nil {
		return agent.Channel{}, err
	}
	if err := r.cfg.Store.PutChannel(ctx, c); err != nil {
		return agent.Channel{}, err
	}
	r.Nudge()
	r.cfg.Publish("channel", c.Name, nil)
	kept, _, err := r.cfg.Store.Channel(ctx, c.Name)
	return veiled(kept), err
}

// Delete forgets a channel and what waits for it.
func (r *Reporter) Delete(ctx context.Context, name string) error {
	ok, err := r.cfg.Store.DeleteChannel(ctx, name)
	if err == nil && !ok {
		return noChannel(name)
	}
	r.cfg.Publish("channel", name, nil)
	return err
}

// Reports lists what was sent and what waits, the newest first.
func (r *Reporter) Reports(ctx context.Context, limit int) ([]agent.ReportDelivery, error) {
	deliveries, err := r.cfg.Store.ReportDeliveries(ctx, limit)
	reports := make([]agent.ReportDelivery, len(deliveries))
	for i, d := range deliveries {
		reports[i] = d.ReportDelivery
	}
	return reports, err
}

// Retry has reports tried again that were given up or wait; an empty name is
// every channel. It tells how many.
func (r *Reporter) Retry(ctx context.Context, channel string) (int64, error) {
	n, err := r.cfg.Store.RetryDeliveries(ctx, channel)
	r.Nudge()
	return n, err
}

func veiled(c agent.Channel) agent.Channel {
	for _, secret := range []*string{&c.URL, &c.Token, &c.Password} {
		if *secret != "" {
			*secret = agent.HiddenValue
		}
	}
	return c
}

// check refuses settings that can't work before they are kept.
func (r *Reporter) check(c agent.Channel) error {
	if err := agent.ValidateName("channel", c.Name); err != nil {
		return err
	}
	sender, ok := r.cfg.Senders[c.Kind]
	if !ok {
		return agent.Errorf(agent.CodeInvalid, "use slack-bot, slack-webhook, webhook or email", "there is no kind of channel %q", c.Kind)
	}
	return sender.Check(c)
}
