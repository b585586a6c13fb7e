package buildkit

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/moby/buildkit/client"
)

// Usage is what the cache takes of the disk, in bytes.
type Usage struct {
	Total       int64
	Reclaimable int64 // not in use now
	Old         int64 // of Reclaimable, what was not used for OldAfter
}

// OldAfter is how long a part of the cache is not used before it counts as old.
const OldAfter = 7 * 24 * time.Hour

// DiskUsage asks what the cache takes. It wakes the daemon.
func (c *Client) DiskUsage(ctx context.Context) (Usage, error) {
	var usage Usage
	err := c.with(ctx, "asking for the cache's size", func(conn *client.Client) error {
		records, err := conn.DiskUsage(ctx)
		if err == nil {
			usage = usageOf(records, time.Now().Add(-OldAfter))
		}
		return err
	})
	return usage, err
}

// usageOf adds the records of the cache up. One stays as long as one that was
// made from it does.
func usageOf(records []*client.UsageInfo, limit time.Time) Usage {
	byID := make(map[string]*client.UsageInfo, len(records))
	for _, record := range records {
		byID[record.ID] = record
	}
	inUse, needed := map[string]bool{}, map[string]bool{}
	for _, record := range records {
		if record.InUse {
			mark(inUse, byID, record)
		}
		if used := cmp.Or(record.LastUsedAt, &record.CreatedAt); record.InUse || used.After(limit) {
			mark(needed, byID, record)
		}
	}
	var usage Usage
	for _, record := range records {
		usage.Total += record.Size
		if !inUse[record.ID] {
			usage.Reclaimable += record.Size
		}
		if !needed[record.ID] {
			usage.Old += record.Size
		}
	}
	return usage
}

// mark adds a record, and all that it was made from.
func mark(marked map[string]bool, byID map[string]*client.UsageInfo, record *client.UsageInfo) {
	if record == nil || marked[record.ID] {
		return
	}
	marked[record.ID] = true
	for _, parent := range record.Parents {
		mark(marked, byID, byID[parent])
	}
}

// Prune removes what is old from the cache, or with all everything, and returns
// how many bytes it freed. What a running build uses stays. It wakes the
// daemon.
func (c *Client) Prune(ctx context.Context, all bool) (int64, error) {
	var freed int64
	err := c.with(ctx, "cutting the cache back", func(conn *client.Client) error {
		removed := make(chan client.UsageInfo)
		counted := make(chan struct{})
		go func() { // ends when the channel is closed below
			defer close(counted)
			for record := range removed {
				freed += record.Size
			}
		}()
		options := []client.PruneOption{client.PruneAll}
		if !all {
			options = append(options, client.WithKeepOpt(OldAfter, 0, 0, 0))
		}
		err := conn.Prune(ctx, removed, options...)
		close(removed)
		<-counted
		return err
	})
	return freed, err
}

// with has the daemon run and connects to it for the time of fn.
func (c *Client) with(ctx context.Context, doing string, fn func(*client.Client) error) error {
	release, err := c.cfg.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	conn, err := client.New(ctx, "unix://"+c.cfg.Socket)
	if err != nil {
		return awayError("there is no connection to it", err)
	}
	defer func() { _ = conn.Close() }() // nothing is under way
	if err := fn(conn); err != nil {
		if away(err) {
			return awayError("the connection broke", err)
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
