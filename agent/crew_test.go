package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrewIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		c.Go(func(context.Context) { t.Error("nobody has begun") })
		if err := c.Stop(t.Context(), "nothing"); err != nil {
			t.Errorf("stopping what never began: %v", err)
		}
		if !c.Start() || c.Start() {
			t.Error("a crew begins once")
		}
		ended := false
		c.Go(func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Minute) // it puts its things away
			ended = true
		})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Stop(short, "the crew"); !errors.Is(err, context.DeadlineExceeded) || ended {
			t.Errorf("a stop without time: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if !c.Start() {
			t.Error("a crew that was stopped can't begin again")
		}
		c.Go(func(ctx context.Context) { <-ctx.Done() })
		if err := c.Stop(t.Context(), "the crew"); err != nil || !ended {
			t.Errorf("a stop: %v", err)
		}
		if err := c.Stop(t.Context(), "the crew"); err != nil {
			t.Errorf("a second stop: %v", err)
		}
	})
}
