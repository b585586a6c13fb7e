package detect

import (
	"cmp"
	"slices"
)

// detector watches for one kind of trouble. It also has one or more of the
// methods of the inputs it wants: sampler, eventer, pointer, requester,
// volumer, logger.
type detector interface {
	// evaluate returns what has changed by t, a multiple of a minute.
	evaluate(t int64) []Alert
	// forget drops all that is known of an app.
	forget(app string)
	// accept takes what fires under the fingerprint for normal.
	accept(fingerprint string, t int64)
}

type (
	sampler   interface{ sample(Sample) }
	eventer   interface{ event(Event) }
	pointer   interface{ point(Point) }
	requester interface{ requests(Requests) }
	volumer   interface{ volume(Volume) }
	logger    interface{ log(LogLine) }
)

// minute is the step of evaluation, in seconds.
const minute = 60

// Engine runs every detector over what it is fed. It is not safe for
// concurrent use: its owner has one goroutine.
type Engine struct {
	detectors []detector
	at        int64 // the minute evaluated last
}

// New returns an engine that knows nothing yet. Default has the parameters.
func New(p Params) *Engine {
	return &Engine{detectors: []detector{
		newLeaks(p.Leak), newOOMLoops(p.OOM), newVolumes(p.Volume), newLatencies(p.Latency), newErrorRates(p.Errors),
		newNovelties(p.Novelty), newAnomalies(p.Anomaly),
	}}
}

// Sample takes one look at a container. Samples of a container come in the
// order of time; one older than the newest counts for its minute only.
func (e *Engine) Sample(s Sample) {
	for _, d := range e.detectors {
		if d, ok := d.(sampler); ok {
			d.sample(s)
		}
	}
}

// Event takes something that happened.
func (e *Engine) Event(v Event) {
	for _, d := range e.detectors {
		if d, ok := d.(eventer); ok {
			d.event(v)
		}
	}
}

// Point takes one value of a plain series.
func (e *Engine) Point(p Point) {
	for _, d := range e.detectors {
		if d, ok := d.(pointer); ok {
			d.point(p)
		}
	}
}

// Requests takes one minute of a route.
func (e *Engine) Requests(r Requests) {
	for _, d := range e.detectors {
		if d, ok := d.(requester); ok {
			d.requests(r)
		}
	}
}

// Volume takes one look at a filesystem.
func (e *Engine) Volume(v Volume) {
	for _, d := range e.detectors {
		if d, ok := d.(volumer); ok {
			d.volume(v)
		}
	}
}

// VolumeFullIn is how many seconds it takes from the newest look until a
// filesystem is full, by the trend that the alerts go by; not ok where it does
// not fill steadily.
func (e *Engine) VolumeFullIn(app, volume string) (seconds int64, ok bool) {
	for _, d := range e.detectors {
		if d, is := d.(interface {
			fullIn(app, volume string) (int64, bool)
		}); is {
			return d.fullIn(app, volume)
		}
	}
	return 0, false
}

// Log takes one line of a log.
func (e *Engine) Log(l LogLine) {
	for _, d := range e.detectors {
		if d, ok := d.(logger); ok {
			d.log(l)
		}
	}
}

// Advance evaluates all that is due by t (Unix seconds) and returns what has
// changed, by time and fingerprint. Detectors look once a minute at most; a
// longer step is one look at its end. The clock does not go back: an earlier t
// changes nothing.
func (e *Engine) Advance(t int64) []Alert {
	t -= t % minute
	if t <= e.at {
		return nil
	}
	e.at = t
	var alerts []Alert
	for _, d := range e.detectors {
		alerts = append(alerts, d.evaluate(t)...)
	}
	slices.SortStableFunc(alerts, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.T, b.T), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return alerts
}

// Forget drops all that is known of an app that was deleted. Its alerts are
// not resolved: nothing is left to say it about.
func (e *Engine) Forget(app string) {
	for _, d := range e.detectors {
		d.forget(app)
	}
}

// Accept takes what fires under the fingerprint for normal ("not a leak"), as
// of t (Unix seconds). The detector is silent about it until it goes on well
// beyond what was accepted. No resolved alert follows: the owner ends what it
// shows. It remembers the acceptance and says it again after a restart, once
// the history is fed.
func (e *Engine) Accept(fingerprint string, t int64) {
	for _, d := range e.detectors {
		d.accept(fingerprint, t)
	}
}
