package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/machine"
)

func TestAddressThatChangedIsToldOnceItStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := machine.Identity{Host: "here", Address: "192.0.2.1"}
		var told []aiops.Outcome
		a := &address{
			file: filepath.Join(t.TempDir(), "machine.json"), node: "node", log: slog.New(slog.DiscardHandler), told: func(agent.Part) {},
			look:  func() machine.Identity { return now },
			ended: func(_ context.Context, o aiops.Outcome) { told = append(told, o) },
		}
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if made, err := machine.Read(a.file); err != nil || made != (machine.Identity{Node: "node", Host: "here", Address: "192.0.2.1"}) {
			t.Fatalf("recorded %+v, %v", made, err)
		}
		look := func() {
			time.Sleep(addressEvery)
			synctest.Wait()
		}
		now.Address = "" // no network for a while
		look()
		look()
		now.Address = "192.0.2.9" // a lease that changes back
		look()
		now.Address = "192.0.2.1"
		look()
		look()
		if len(told) != 0 || !a.Part().Healthy {
			t.Errorf("told without need: %+v", told)
		}
		now.Address = "192.0.2.9"
		look()
		look()
		look()
		if len(told) != 1 || !told[0].Failed || a.Part().Healthy {
			t.Errorf("told %+v, %+v", told, a.Part())
		}
		now.Address = "192.0.2.1"
		look()
		look()
		if len(told) != 2 || told[1].Failed || !a.Part().Healthy {
			t.Errorf("told %+v", told)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		now.Address = "192.0.2.9" // while the agent was away
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(told) != 3 || !told[2].Failed {
			t.Errorf("at the start: %+v", told)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
