package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// keptDeliveries is how many reports that were sent, or given up, are kept.
const keptDeliveries = 2000

const channelColumns = `name, settings, failure, last_sent, created_at, (SELECT count(*) FROM delivery WHERE channel = channel.name AND state = 'waiting')`

func (s *Store) scanChannel(row scanner) (agent.Channel, error) {
	var name, failure string
	var settings []byte
	var sent, created int64
	var waiting int
	if err := row.Scan(&name, &settings, &failure, &sent, &created, &waiting); err != nil {
		return agent.Channel{}, err
	}
	plain, err := s.seal.open("channel/"+name, settings)
	if err != nil {
		return agent.Channel{}, err
	}
	var c agent.Channel
	if err := json.Unmarshal(plain, &c); err != nil {
		return agent.Channel{}, err
	}
	c.Name, c.Failure, c.Waiting, c.LastSent, c.CreatedAt = name, failure, waiting, fromMillis(sent), fromMillis(created)
	return c, nil
}

// Channels lists where reports go, with their secrets.
func (s *Store) Channels(ctx context.Context) ([]agent.Channel, error) {
	return queryAll(ctx, s, "channels", s.scanChannel, `SELECT `+channelColumns+` FROM channel ORDER BY name`)
}

// Channel returns one with its secrets; ok is false when there is none.
func (s *Store) Channel(ctx context.Context, name string) (agent.Channel, bool, error) {
	found, err := queryAll(ctx, s, "channels", s.scanChannel, `SELECT `+channelColumns+` FROM channel WHERE name = ?`, name)
	if err != nil || len(found) == 0 {
		return agent.Channel{}, false, err
	}
	return found[0], true, nil
}

// PutChannel makes a channel, or writes it in place of the one of its name;
// what waits for it is tried again at once.
func (s *Store) PutChannel(ctx context.Context, c agent.Channel) error {
	now := s.cfg.Now()
	plain, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encoding a channel: %w", err)
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO channel (name, settings, created_at) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, failure = ''`, c.Name, s.seal.seal("channel/"+c.Name, plain), millis(now))
		if err != nil {
			return fmt.Errorf("writing the channel %s: %w", c.Name, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE delivery SET next_at = ? WHERE channel = ? AND state = 'waiting'`, millis(now), c.Name); err != nil {
			return fmt.Errorf("trying reports again: %w", err)
		}
		return nil
	})
}

// DeleteChannel forgets a channel and what waits for it.
func (s *Store) DeleteChannel(ctx context.Context, name string) (ok bool, err error) {
	result, err := s.db.ExecContext(ctx, `DELETE FROM channel WHERE name = ?`, name)
	if err != nil {
		return false, fmt.Errorf("deleting the channel %s: %w", name, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("deleting the channel %s: %w", name, err)
	}
	return n > 0, nil
}

// SetChannelState notes how the last try went.
func (s *Store) SetChannelState(ctx context.Context, name, failure string, sent time.Time) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE channel SET failure = ?, last_sent = max(last_sent, ?) WHERE name = ?`, failure, millis(sent), name); err != nil {
		return fmt.Errorf("noting how the channel %s does: %w", name, err)
	}
	return nil
}

// Delivery is a report on its way to one channel.
type Delivery struct {
	agent.ReportDelivery
	Report agent.Report
	Ref    string // what the channel calls the message
}

const deliveryColumns = `id, channel, kind, incident, report, state, attempts, failure, ref, created_at, next_at, sent_at`

func scanDelivery(row scanner) (Delivery, error) {
	var d Delivery
	var report string
	var created, next, sent int64
	if err := row.Scan(&d.ID, &d.Channel, &d.Kind, &d.Incident, &report, &d.State, &d.Attempts, &d.Failure, &d.Ref, &created, &next, &sent); err != nil {
		return d, err
	}
	d.CreatedAt, d.NextAt, d.SentAt = fromMillis(created), fromMillis(next), fromMillis(sent)
	err := json.Unmarshal([]byte(report), &d.Report)
	d.Text = d.Report.Text
	return d, err
}

// enqueue writes a report for every channel.
func enqueue(ctx context.Context, tx *sql.Tx, r agent.Report, incident int64, at time.Time) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO delivery (channel, incident, kind, report, state, created_at, next_at)
		SELECT name, ?, ?, ?, 'waiting', ?, ? FROM channel ORDER BY name`, incident, r.Kind, string(data), millis(at), millis(at))
	if err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM delivery WHERE state <> 'waiting' AND id <= (SELECT max(id) FROM delivery) - ?`, keptDeliveries)
	if err != nil {
		return fmt.Errorf("bounding the reports: %w", err)
	}
	return nil
}

// AddReport writes a report for every channel, and is for those that go with
// no change of an incident.
func (s *Store) AddReport(ctx context.Context, r agent.Report) error {
	var incident int64
	if r.Incident != nil {
		incident = r.Incident.ID
	}
	return s.tx(ctx, func(tx *sql.Tx) error { return enqueue(ctx, tx, r, incident, s.cfg.Now()) })
}

// WaitingDeliveries lists what is to be sent, the oldest first: all of one
// channel go in their order.
func (s *Store) WaitingDeliveries(ctx context.Context) ([]Delivery, error) {
	return queryAll(ctx, s, "reports", scanDelivery, `SELECT `+deliveryColumns+` FROM delivery WHERE state = 'waiting' ORDER BY id LIMIT 500`)
}

// ReportDeliveries lists reports, the newest first, up to limit.
func (s *Store) ReportDeliveries(ctx context.Context, limit int) ([]Delivery, error) {
	return queryAll(ctx, s, "reports", scanDelivery, `SELECT `+deliveryColumns+` FROM delivery ORDER BY id DESC LIMIT ?`, limit)
}

// MessageRef is what a channel calls the message of an incident that the later
// ones belong to; empty: there is none.
func (s *Store) MessageRef(ctx context.Context, channel string, incident int64) (string, error) {
	refs, err := queryAll(ctx, s, "messages", func(row scanner) (ref string, err error) { return ref, row.Scan(&ref) },
		`SELECT ref FROM delivery WHERE incident = ? AND channel = ? AND state = 'sent' AND ref <> '' ORDER BY id DESC LIMIT 1`, incident, channel)
	if err != nil || len(refs) == 0 {
		return "", err
	}
	return refs[0], nil
}

// PutDelivery writes how a delivery stands.
func (s *Store) PutDelivery(ctx context.Context, d Delivery) error {
	_, err := s.db.ExecContext(ctx, `UPDATE delivery SET state = ?, attempts = ?, failure = ?, ref = ?, next_at = ?, sent_at = ? WHERE id = ?`,
		d.State, d.Attempts, d.Failure, d.Ref, millis(d.NextAt), millis(d.SentAt), d.ID)
	if err != nil {
		return fmt.Errorf("noting how a report stands: %w", err)
	}
	return nil
}

// RetryDeliveries has reports that were given up tried again; it tells how
// many.
func (s *Store) RetryDeliveries(ctx context.Context, channel string) (int64, error) {
	now := millis(s.cfg.Now())
	result, err := s.db.ExecContext(ctx, `UPDATE delivery SET state = 'waiting', attempts = 0, created_at = ?, next_at = ? WHERE state <> 'sent' AND (channel = ? OR ? = '')`, now, now, channel, channel)
	if err != nil {
		return 0, fmt.Errorf("trying reports again: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("trying reports again: %w", err)
	}
	return n, nil
}
