package daemon

import (
	"context"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/registry"
)

// bases finds hks's own base images among those of the registry.
type bases struct{ registry *registry.Registry }

// Bases lists them as REGISTRY/NAME:TAG.
func (b bases) Bases(ctx context.Context) ([]string, error) {
	images, err := b.registry.List(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, image := range images {
		if strings.HasPrefix(image.Name, "hks/") {
			names = append(names, agent.RegistryHost+"/"+image.Name)
		}
	}
	return names, nil
}
