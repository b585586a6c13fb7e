package build

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestA97NothingIsBuiltBelowTheFloor(t *testing.T) {
	b := newBench(t)
	b.free.Store(1 << 30)
	_, err := b.trySubmit("shop", agent.BuildRequest{}, "hks.yaml", "name: shop\n", "Dockerfile", "FROM scratch\n")
	if agent.CodeOf(err) != agent.CodeNoSpace || !strings.Contains(err.Error(), "1.0 GiB free") {
		t.Errorf("error %v", err)
	}
	if jobs := b.builder.done(); len(jobs) != 0 {
		t.Errorf("built all the same: %v", jobs)
	}
}
