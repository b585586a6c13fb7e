package registry

import (
	"context"

	"github.com/distribution/distribution/v3/registry/storage/driver"
)

// dying is a storage whose process is killed after some removals.
type dying struct {
	driver.StorageDriver
	left int
}

// Delete removes until the end.
func (d *dying) Delete(ctx context.Context, path string) error {
	if d.left == 0 {
		return errDied
	}
	d.left--
	return d.StorageDriver.Delete(ctx, path)
}
