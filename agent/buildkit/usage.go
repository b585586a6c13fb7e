package buildkit

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client"
)

// Usage is what the cache takes of the disk, in bytes.
type Usage struct {
	Total       int64
	Reclaimable int64 // not in use now
}

// DiskUsage asks what the cache takes. It wakes the daemon.
func (c *Client) DiskUsage(ctx context.Context) (Usage, error) {
	var usage Usage
	err := c.with(ctx, "asking for the cache's size", func(conn *client.Client) error {
		records, err := conn.DiskUsage(ctx)
		for _, record := range records {
			usage.Total += record.Size
			if !record.InUse {
				usage.Reclaimable += record.Size
			}
		}
		return err
	})
	return usage, err
}

// Prune cuts the cache back to budget bytes, the oldest first, and returns how
// many bytes it freed. What a running build uses stays. It wakes the daemon.
func (c *Client) Prune(ctx context.Context, budget int64) (int64, error) {
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
		if budget > 0 { // 0 is no bound to BuildKit
			options = append(options, client.WithKeepOpt(0, 0, budget, 0))
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
