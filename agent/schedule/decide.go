package schedule

import (
	"fmt"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const (
	// slack is how late a run may begin and still count as on time: the loop
	// looks at the clock at least twice in it.
	slack = time.Minute
	// mostCaughtUp bounds how many missed runs are made up for.
	mostCaughtUp = 100
	// mostSlots bounds how many slots of one absence are looked at.
	mostSlots = 100_000
)

// decide tells what becomes of the slots between a job's cursor and now. A
// clock that was set back decides nothing anew: the ledger has each slot once.
func decide(j store.CronJob, t *Timetable, now time.Time) (cursor time.Time, runs []agent.CronRun) {
	from := j.Cursor
	if now.Before(from) {
		from = now
	}
	var slots []time.Time // the last of them
	total := 0
	for at := t.Next(from); !at.IsZero() && !at.After(now) && total < mostSlots; at = t.Next(at) {
		slots = append(slots, at)
		total++
		if len(slots) > mostCaughtUp {
			slots = slots[1:]
		}
	}
	if total == 0 {
		return from, nil
	}
	latest := slots[len(slots)-1]
	fire := map[time.Time]bool{}
	if now.Sub(latest) <= slack {
		fire[latest] = true
	}
	switch j.CatchUp {
	case agent.CatchUpOne:
		if now.Sub(latest) <= j.Deadline {
			fire[latest] = true
		}
	case agent.CatchUpAll:
		for _, slot := range slots {
			if now.Sub(slot) <= j.Deadline {
				fire[slot] = true
			}
		}
	}
	var missed []time.Time
	for _, slot := range slots {
		if fire[slot] {
			runs = append(runs, agent.CronRun{Slot: slot, Status: agent.RunPending})
		} else {
			missed = append(missed, slot)
		}
	}
	if lost := total - len(runs); lost > 0 && len(missed) > 0 {
		words := "missed: the appliance was not there at that time"
		if lost > 1 {
			words = fmt.Sprintf("missed, as were %d before it: the appliance was not there", lost-1)
		}
		last := missed[len(missed)-1]
		runs = append([]agent.CronRun{{Slot: last, Status: agent.RunFailed, Message: words, FinishedAt: now}}, runs...)
	}
	return latest, runs
}
