package api

import (
	"fmt"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestOneAddressIsSlowedDown(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	for i := range addressBurst {
		if err := th.begin("a"); err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if err := th.begin("a"); agent.CodeOf(err) != agent.CodeTooMany {
		t.Errorf("after the burst: %v", err)
	}
	if err := th.begin("b"); err != nil {
		t.Errorf("another address: %v", err)
	}
	c.forward(addressEvery)
	if err := th.begin("a"); err != nil {
		t.Errorf("after a wait: %v", err)
	}
}

func TestAllAddressesTogetherAreBounded(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	refused := 0
	for i := range 2 * globalBurst {
		if th.begin(fmt.Sprint(i)) != nil {
			refused++
		}
	}
	if refused != globalBurst {
		t.Errorf("%d of %d refused", refused, 2*globalBurst)
	}
	c.forward(globalEvery)
	if err := th.begin("z"); err != nil {
		t.Errorf("after a wait: %v", err)
	}
}

func TestTheWaitHasAnEnd(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	for range 100 {
		th.failed("a")
	}
	if wait := th.addresses["a"].locked.Sub(c.now()); wait != longestLockout {
		t.Errorf("locked for %s", wait)
	}
}

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	for i := range maxAddresses + 500 {
		c.forward(time.Millisecond)
		th.failed(fmt.Sprint(i))
	}
	if len(th.addresses) > maxAddresses {
		t.Errorf("%d addresses", len(th.addresses))
	}
	if th.addresses["0"] != nil || th.addresses[fmt.Sprint(maxAddresses+499)] == nil {
		t.Error("not the oldest was forgotten")
	}
}

func TestThrottleKey(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:5555": "192.0.2.7", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[fe80::1%eth0]:1": "fe80::/64", "@": "socket",
	} {
		if got := throttleKey(remote); got != want {
			t.Errorf("%s is counted under %s, want %s", remote, got, want)
		}
	}
}
