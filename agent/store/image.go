package store

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
)

// ImageUses lists every image that a kept release needs: what its pods pull,
// or what the owner wrote while that is not resolved yet.
func (s *Store) ImageUses(ctx context.Context) ([]agent.ImageUse, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT app, environment, number,
			CASE pull WHEN '' THEN coalesce(spec ->> '$.image', '') ELSE pull END
		FROM release ORDER BY app, environment, number DESC`)
	if err != nil {
		return nil, fmt.Errorf("listing the images of releases: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var uses []agent.ImageUse
	for rows.Next() {
		var use agent.ImageUse
		if err := rows.Scan(&use.App, &use.Environment, &use.Release, &use.Image); err != nil {
			return nil, fmt.Errorf("reading the image of a release: %w", err)
		}
		uses = append(uses, use)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing the images of releases: %w", err)
	}
	return uses, nil
}
