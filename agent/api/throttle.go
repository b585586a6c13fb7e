package api

import (
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of guessing. One address may try in bursts; after a few wrong
// passwords it waits, each time twice as long. All addresses together are
// bounded too.
const (
	addressEvery    = 3 * time.Second
	addressBurst    = 10
	globalEvery     = 250 * time.Millisecond
	globalBurst     = 40
	freeFailures    = 5
	firstLockout    = 5 * time.Second
	longestLockout  = 15 * time.Minute
	maxAddresses    = 4096
	forgetAddresses = time.Hour
	warnEvery       = time.Minute // so that who guesses can't fill the activity list
)

// throttle slows down whoever guesses.
type throttle struct {
	now func() time.Time

	mu        sync.Mutex // guards what follows
	global    *rate.Limiter
	addresses map[string]*attempts
	warned    time.Time // when failed last asked for a warning
}

type attempts struct {
	limiter  *rate.Limiter
	failures int
	locked   time.Time // until then
	seen     time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, global: rate.NewLimiter(rate.Every(globalEvery), globalBurst), addresses: map[string]*attempts{}}
}

// begin asks for one attempt from address.
func (t *throttle) begin(address string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	from := t.attempts(address, now)
	if wait := from.locked.Sub(now); wait > 0 {
		return waitFor(wait, "too many wrong attempts from this address")
	}
	own := from.limiter.ReserveN(now, 1)
	if wait := own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return waitFor(wait, "too many attempts from this address")
	}
	all := t.global.ReserveN(now, 1)
	if wait := all.DelayFrom(now); wait > 0 {
		all.CancelAt(now)
		own.CancelAt(now)
		return waitFor(wait, "too many attempts from everywhere")
	}
	return nil
}

// failed counts a wrong attempt. It tells whether people should be warned:
// someone is locked out, and they were not warned a moment ago.
func (t *throttle) failed(address string) (warn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	from := t.attempts(address, now)
	from.failures++
	over := from.failures - freeFailures
	if over < 0 {
		return false
	}
	from.locked = now.Add(min(longestLockout, firstLockout<<min(over, 10)))
	if now.Sub(t.warned) < warnEvery {
		return false
	}
	t.warned = now
	return true
}

// succeeded forgets what was counted against address.
func (t *throttle) succeeded(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.addresses, address)
}

func (t *throttle) attempts(address string, now time.Time) *attempts {
	from, ok := t.addresses[address]
	if !ok {
		t.forget(now)
		from = &attempts{limiter: rate.NewLimiter(rate.Every(addressEvery), addressBurst)}
		t.addresses[address] = from
	}
	from.seen = now
	return from
}

// forget bounds the table: first those not seen for long, then the one not
// seen for longest. The caller holds t.mu.
func (t *throttle) forget(now time.Time) {
	if len(t.addresses) < maxAddresses {
		return
	}
	oldest := ""
	for address, from := range t.addresses {
		if now.Sub(from.seen) > forgetAddresses {
			delete(t.addresses, address)
			continue
		}
		if oldest == "" || from.seen.Before(t.addresses[oldest].seen) {
			oldest = address
		}
	}
	if len(t.addresses) >= maxAddresses {
		delete(t.addresses, oldest)
	}
}

func waitFor(wait time.Duration, message string) error {
	return tooMany(int(math.Ceil(wait.Seconds())), message)
}

// throttleKey is the address a peer is counted under: an IPv6 peer commands
// a whole /64.
func throttleKey(remoteAddr string) string {
	host, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return "socket"
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}
