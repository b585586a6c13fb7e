package double

import (
	"context"

	"hks.dev/hks/agent"
)

// Check refuses nothing that Deploy does not.
func (w apps) Check(context.Context, string, agent.Environment, agent.Deploy) error { return nil }
