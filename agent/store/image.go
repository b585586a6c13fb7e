package store

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
)

// ImageUses lists every image that a kept release needs: what its pods pull,
// or what the owner wrote while that is not resolved yet.
func (s *Store) ImageUses(ctx context.Context) ([]agent.ImageUse, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT r.app, r.environment, r.number,
			coalesce(nullif(json_extract(r.images, '$."' || (c.value ->> 'name') || '".pull'), ''), c.value ->> 'image', '')
		FROM release r, json_each(r.spec, '$.components') c ORDER BY r.app, r.environment, r.number DESC, c.key`)
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
