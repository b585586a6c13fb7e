package gateway

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestChooseSpreadsAndPrefersTheLeastBusy(t *testing.T) {
	s := newService(Service{ID: "s", Endpoints: []string{"a", "b", "c"}}, nil)
	seen := map[string]int{}
	for range 30 {
		e, _ := s.choose(start, nil)
		seen[e.address]++
	}
	for _, address := range []string{"a", "b", "c"} {
		if seen[address] != 10 {
			t.Errorf("equals do not take turns: %v", seen)
		}
	}
	s.endpoints[0].inFlight.Store(5)
	s.endpoints[1].inFlight.Store(1)
	s.endpoints[2].inFlight.Store(5)
	for range 5 {
		if e, _ := s.choose(start, nil); e.address != "b" {
			t.Errorf("chose %s, want the least busy b", e.address)
		}
	}
	if e, _ := s.choose(start, s.endpoints[1]); e.address == "b" {
		t.Error("a second try went to the endpoint that just failed")
	}
}

func TestChooseSetsFailingEndpointsAside(t *testing.T) {
	s := newService(Service{ID: "s", Endpoints: []string{"a", "b"}}, nil)
	a, b := s.endpoints[0], s.endpoints[1]
	a.failed(start)
	for range 10 {
		if e, _ := s.choose(start, nil); e != b {
			t.Fatal("chose an endpoint that was set aside")
		}
	}
	later := start.Add(ejectMin + time.Millisecond)
	trials := 0
	for range 10 {
		if e, _ := s.choose(later, nil); e == a {
			trials++
		}
	}
	if trials != 1 {
		t.Errorf("%d requests try an endpoint that may be back, want 1", trials)
	}
	a.reached()
	back := 0
	for range 10 {
		if e, _ := s.choose(later, nil); e == a {
			back++
		}
	}
	if back != 5 {
		t.Errorf("an endpoint that is back gets %d of 10 requests", back)
	}
}

func TestChooseProbesWhenAllAreSetAside(t *testing.T) {
	s := newService(Service{ID: "s", Endpoints: []string{"a"}}, nil)
	for range 20 {
		s.endpoints[0].failed(start)
	}
	if e, wait := s.choose(start, nil); e != nil || wait <= 0 || wait > probeAfter {
		t.Errorf("got endpoint %v, wait %s; want none and a short wait", e, wait)
	}
	soon := start.Add(probeAfter)
	if e, _ := s.choose(soon, s.endpoints[0]); e == nil {
		t.Error("the only endpoint is never tried again")
	}
	if e, _ := s.choose(soon, nil); e != nil {
		t.Error("two requests probe at the same time")
	}
	if aside := time.Duration(s.endpoints[0].retryAt.Load() - start.UnixNano()); aside > ejectMax {
		t.Errorf("set aside for %s, want %s at most", aside, ejectMax)
	}
}

func TestNewServiceKeepsWhatIsKnown(t *testing.T) {
	before := newService(Service{ID: "s", Endpoints: []string{"a", "b"}}, nil)
	before.endpoints[0].inFlight.Store(3)
	after := newService(Service{ID: "s", Endpoints: []string{"a", "c"}}, before)
	if after.endpoints[0] != before.endpoints[0] || after.endpoints[1].inFlight.Load() != 0 {
		t.Error("a known endpoint lost its state, or a new one inherited some")
	}
	if e, wait := (*service)(nil).choose(start, nil); e != nil || wait != 0 {
		t.Error("an absent service has an endpoint")
	}
}
