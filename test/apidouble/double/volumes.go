package double

import (
	"context"

	"hks.dev/hks/agent"
)

// volumes are none: made-up apps keep nothing.
type volumes struct{}

func (volumes) List(context.Context) ([]agent.Volume, error) { return []agent.Volume{}, nil }

func (v volumes) Get(_ context.Context, name string) (agent.Volume, error) { return v.absent(name) }

func (v volumes) Resize(_ context.Context, name, _, _ string) (agent.Volume, error) {
	return v.absent(name)
}

func (v volumes) Delete(_ context.Context, name string, _ bool, _ string) (agent.Volume, error) {
	return v.absent(name)
}

func (v volumes) Restore(_ context.Context, name, _ string) (agent.Volume, error) {
	return v.absent(name)
}

func (volumes) absent(name string) (agent.Volume, error) {
	return agent.Volume{}, agent.Errorf(agent.CodeNotFound, "hks volume list shows what there is", "there is no volume %q", name)
}
