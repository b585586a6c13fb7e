package schedule

import "time"

// Next returns the first time after t at which the job is due, in UTC; zero
// when there is none in the next years.
//
// Days on which clocks change are as with Vixie cron: a job that names minute
// and hour is about the wall clock. Where the clock jumps over its time it is
// due just after the jump, and where its time comes twice it is due at the
// first. All others follow real time.
func (t *Timetable) Next(after time.Time) time.Time {
	after = after.Truncate(time.Second)
	switch {
	case t.every > 0:
		return t.nextEvery(after)
	case !t.fixed:
		return t.spec.Next(after.In(t.zone)).UTC()
	}
	wall := asUTC(after.In(t.zone))
	wall = wall.Add(-maxJump) // where the clock was set back, or ahead, one may lie before
	for {
		next := t.spec.Next(wall)
		if next.IsZero() {
			return time.Time{}
		}
		if real := t.real(next); real.After(after) {
			return real
		}
		wall = next
	}
}

// nextEvery counts from the beginning of the Unix epoch, so that a restart
// changes nothing.
func (t *Timetable) nextEvery(after time.Time) time.Time {
	step := int64(t.every / time.Second)
	return time.Unix((after.Unix()/step+1)*step, 0).UTC()
}

// maxJump is more than a clock is ever set ahead or back at a time.
const maxJump = 3 * time.Hour

// asUTC is what a clock on the wall shows, written as if it were UTC.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// real is when the clock on the wall first shows a time, or has just jumped
// over it.
func (t *Timetable) real(wall time.Time) time.Time {
	var first time.Time
	for _, near := range []time.Time{wall.Add(-26 * time.Hour), wall.Add(26 * time.Hour)} {
		_, offset := near.In(t.zone).Zone()
		candidate := wall.Add(-time.Duration(offset) * time.Second)
		if asUTC(candidate.In(t.zone)).Equal(wall) && (first.IsZero() || candidate.Before(first)) {
			first = candidate
		}
	}
	if !first.IsZero() {
		return first.UTC()
	}
	_, offset := wall.Add(-26 * time.Hour).In(t.zone).Zone() // before the jump
	_, jump := wall.Add(-time.Duration(offset) * time.Second).In(t.zone).ZoneBounds()
	if start, _ := wall.Add(-time.Duration(offset) * time.Second).In(t.zone).ZoneBounds(); !start.IsZero() && asUTC(start.In(t.zone)).After(wall) {
		jump = start
	}
	return jump.UTC()
}

// Coming lists the next n times after t.
func (t *Timetable) Coming(after time.Time, n int) []time.Time {
	times := make([]time.Time, 0, n)
	for range n {
		if after = t.Next(after); after.IsZero() {
			break
		}
		times = append(times, after)
	}
	return times
}
