package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const begin = 1_700_006_400 // a minute, an hour and a day begin here

// story feeds an engine and notes what it says, as "MINUTE detector state severity".
type story struct {
	e    *Engine
	said []string
	all  []Alert
	rng  *rand.Rand
}

func newStory() *story {
	return &story{e: New(Default()), rng: rand.New(rand.NewPCG(1, 2))}
}

// minutes lives from one minute to before another; feed is called before each
// minute is evaluated.
func (s *story) minutes(from, to int, feed func(m int, t int64)) {
	for m := from; m < to; m++ {
		t := int64(begin + m*60)
		feed(m, t)
		for _, a := range s.e.Advance(t + 60) {
			s.all = append(s.all, a)
			s.said = append(s.said, fmt.Sprintf("%d %s %s %s", (a.T-begin)/60, a.Detector, a.State, a.Severity))
		}
	}
}

// heard returns the states of a detector, in order.
func (s *story) heard(detector string) string {
	var states []string
	for _, a := range s.all {
		if a.Detector == detector {
			states = append(states, string(a.State))
		}
	}
	return strings.Join(states, " ")
}

// at returns the minute at which the detector first said the state; -1: never.
func (s *story) at(detector string, state State) int {
	i := slices.IndexFunc(s.all, func(a Alert) bool { return a.Detector == detector && a.State == state })
	if i < 0 {
		return -1
	}
	return int(s.all[i].T-begin) / 60
}

func (s *story) sample(t int64, pod string, rss, limit float64, restarts int) {
	for i := range int64(4) {
		s.e.Sample(Sample{
			T: t + 15*i, App: "web", Pod: pod, Container: "app", CPU: 0.1 + 0.005*s.rng.NormFloat64(),
			RSS: int64((rss + 0.5*s.rng.NormFloat64()) * mib), WorkingSet: int64(rss * mib), Limit: int64(limit * mib), Restarts: restarts,
		})
	}
}

const (
	podA = "web-production-7c9d8f6b5-x2k4q"
	podB = "web-production-5d8c7b6f4-b7v9z"
)

func TestA70LeakIsFoundAndResolvedByANewRelease(t *testing.T) {
	s := newStory()
	s.minutes(0, 300, func(m int, at int64) { s.sample(at, podA, 100+float64(m)/2, 300, 0) })
	fired := s.at(MemoryLeak, Firing)
	if fired < 60 || fired > 200 {
		t.Fatalf("a leak of half a MiB a minute fired at minute %d, want between 60 and 200: %v", fired, s.said)
	}
	a := s.all[slices.IndexFunc(s.all, func(a Alert) bool { return a.State == Firing })]
	if a.Fingerprint != "web|web-production|app|memory-leak" || a.Pod != podA || a.Container != "app" {
		t.Errorf("it is about %q, pod %q, container %q", a.Fingerprint, a.Pod, a.Container)
	}
	if left := 60 * (400 - fired); a.TimeToLimit < int64(left)*8/10 || a.TimeToLimit > int64(left)*12/10 {
		t.Errorf("the limit is %d s away, it says %d", left, a.TimeToLimit)
	}
	if since := (a.Since - begin) / 60; since > 30 {
		t.Errorf("it says that it began at minute %d, want the first ones", since)
	}
	if len(a.Evidence) < 3 || len(a.Evidence) > 5 || len(a.RuledOut) < 3 || a.Confidence < 0.5 || a.Confidence > 1 {
		t.Errorf("evidence %v, ruled out %v, confidence %g", a.Evidence, a.RuledOut, a.Confidence)
	}
	s.e.Event(Event{T: begin + 300*60, Event: EventDeploy, App: "web"})
	s.minutes(300, 420, func(_ int, at int64) { s.sample(at, podB, 100, 300, 0) })
	if resolved := s.at(MemoryLeak, Resolved); resolved < 330 || resolved > 360 {
		t.Errorf("resolved at minute %d, want after half an hour of the new release: %v", resolved, s.said)
	}
	if got := s.heard(MemoryLeak); got != "pending firing resolved" {
		t.Errorf("it said %q", got)
	}
}

func TestLeakIsResolvedWhenItStops(t *testing.T) {
	s := newStory()
	s.minutes(0, 240, func(m int, at int64) { s.sample(at, podA, 100+float64(m)/2, 400, 0) })
	s.minutes(240, 480, func(_ int, at int64) { s.sample(at, podA, 220, 400, 0) })
	if got := s.heard(MemoryLeak); got != "pending firing resolved" {
		t.Errorf("it said %q: %v", got, s.said)
	}
	if at := s.at(MemoryLeak, Resolved); at < 280 {
		t.Errorf("resolved at minute %d, before it was seen to have stopped", at)
	}
}

func TestLeakThatWasAcceptedIsSilentUntilItGoesOn(t *testing.T) {
	const key = "web|web-production|app|memory-leak"
	s := newStory()
	grow := func(m int, at int64) { s.sample(at, podA, 100+float64(m)/2, 1000, 0) }
	s.minutes(0, 550, grow)
	if s.heard(MemoryLeak) != "pending firing" {
		t.Fatalf("no leak to accept: %v", s.said)
	}
	s.e.Accept(key, begin+550*60)
	s.all = nil
	s.minutes(550, 680, grow) // 340 MiB in the end; accepted at 275 MiB were 175 MiB of growth
	if len(s.all) > 0 {
		t.Errorf("it was accepted, and says: %v", s.all)
	}
	s.minutes(680, 900, grow)
	if s.at(MemoryLeak, Firing) < 720 {
		t.Errorf("it went on well beyond, and fired at minute %d: %v", s.at(MemoryLeak, Firing), s.said)
	}
}

func TestHistoryOfOneSampleAMinuteIsEnough(t *testing.T) {
	s := newStory()
	for m := range 240 { // as an owner does after a restart
		at := int64(begin + m*60)
		s.e.Sample(Sample{T: at, App: "web", Pod: podA, Container: "app", RSS: int64((100 + float64(m)/2 + 0.5*s.rng.NormFloat64()) * mib), Limit: 400 * mib, CPU: 0.1})
	}
	s.minutes(240, 260, func(m int, at int64) { s.sample(at, podA, 100+float64(m)/2, 400, 0) })
	if at := s.at(MemoryLeak, Firing); at < 0 || at > 256 {
		t.Errorf("fired at minute %d: %v", at, s.said)
	}
}

func TestA73NothingIsSaidOfALeakThatIsNone(t *testing.T) {
	tests := map[string]func(s *story, m int, at int64){
		"steady":         func(s *story, _ int, at int64) { s.sample(at, podA, 200, 400, 0) },
		"a step":         func(s *story, m int, at int64) { s.sample(at, podA, 150+100*float64(m/300), 400, 0) },
		"garbage saw":    func(s *story, m int, at int64) { s.sample(at, podA, 120+3*float64(m%40), 400, 0) },
		"a cache filled": func(s *story, m int, at int64) { s.sample(at, podA, 100+min(100, 3*float64(m)), 400, 0) },
		"page cache": func(s *story, m int, at int64) {
			s.e.Sample(Sample{T: at, App: "web", Pod: podA, Container: "app", RSS: 100 * mib, WorkingSet: int64(100+m/2) * mib, Limit: 900 * mib})
		},
		"a deploy every hour": func(s *story, m int, at int64) {
			s.sample(at, fmt.Sprintf("web-production-7c9d8f6b5-x%04d", m/60), 100+20*min(1, float64(m%60)/10), 400, 0)
		},
		"a restart every two hours": func(s *story, m int, at int64) { s.sample(at, podA, 150, 400, m/120) },
	}
	for name, feed := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 900, func(m int, at int64) { feed(s, m, at) })
			if len(s.said) > 0 {
				t.Errorf("it says: %v", s.said)
			}
		})
	}
}

func TestLeakHiddenByReleases(t *testing.T) {
	for name, pod := range map[string]func(generation int) (string, int){
		"new pods":           func(g int) (string, int) { return fmt.Sprintf("web-production-7c9d8f6b5-x%04d", g), 0 },
		"the same pod":       func(int) (string, int) { return "web-production-0", 0 },
		"restarts in a pod":  func(g int) (string, int) { return podA, g },
		"two pods at a time": func(g int) (string, int) { return fmt.Sprintf("web-production-7c9d8f6b5-y%04d", g), 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 900, func(m int, at int64) {
				if m%150 == 0 && m > 0 {
					s.e.Event(Event{T: at, Event: EventDeploy, App: "web"})
				}
				name, restarts := pod(m / 150)
				s.sample(at, name, 100+0.4*float64(m%150), 500, restarts)
				if strings.HasSuffix(name, "y0000") {
					s.sample(at, "web-production-7c9d8f6b5-z0000", 100, 500, 0)
				}
			})
			if at := s.at(MemoryLeak, Firing); at < 0 {
				t.Errorf("60 MiB grow between releases, again and again, and nothing is said: %v", s.said)
			}
		})
	}
}

func TestOOMLoop(t *testing.T) {
	s := newStory()
	life := func(restarts int) func(m int, at int64) {
		return func(m int, at int64) {
			s.sample(at, podA, 60+14*float64(m%10), 200, restarts)
			if m%10 == 9 {
				s.e.Event(Event{T: at + 50, Event: EventOOMKilled, App: "web", Pod: podA, Container: "app"})
			}
		}
	}
	s.minutes(0, 10, life(0))
	if s.at(OOMLoop, Firing) >= 0 {
		t.Fatal("one kill is no loop")
	}
	s.minutes(10, 20, life(1))
	if at := s.at(OOMLoop, Firing); at != 20 {
		t.Fatalf("fired at minute %d, want at once after the second: %v", at, s.said)
	}
	a := s.all[len(s.all)-1]
	if a.Severity != Critical || a.Fingerprint != "web|web-production|app|oom-loop" || len(a.Evidence) < 3 {
		t.Errorf("it says %+v", a)
	}
	s.minutes(20, 200, func(_ int, at int64) { s.sample(at, podA, 80, 200, 2) })
	if got := s.heard(OOMLoop); got != "firing resolved" {
		t.Errorf("it said %q", got)
	}
	if at := s.at(OOMLoop, Resolved); at < 78 || at > 82 {
		t.Errorf("resolved at minute %d, want after a clean hour", at)
	}
}

func TestOOMKillsWithoutARiseAreNoLoop(t *testing.T) {
	s := newStory()
	s.minutes(0, 40, func(m int, at int64) {
		s.sample(at, podA, 195, 200, m/10)
		if m%10 == 9 {
			s.e.Event(Event{T: at + 50, Event: EventOOMKilled, App: "web", Pod: podA})
		}
	})
	if s.heard(OOMLoop) != "" {
		t.Errorf("it says %v", s.said)
	}
}

func TestOOMKillThatIsToldOfLate(t *testing.T) {
	s := newStory()
	s.minutes(0, 30, func(m int, at int64) {
		s.sample(at, podA, 60+14*float64(m%10), 200, m/10)
		if m%10 == 0 && m > 0 { // the new process was seen first
			s.e.Event(Event{T: at - 5, Event: EventOOMKilled, App: "web", Pod: podA, Container: "app"})
		}
	})
	if s.at(OOMLoop, Firing) < 0 {
		t.Errorf("two kills, and it says %v", s.said)
	}
}

func TestA74Volume(t *testing.T) {
	volume := func(s *story, free func(m int) float64) func(m int, at int64) {
		return func(m int, at int64) {
			s.e.Volume(Volume{T: at, Volume: "data-db-0", App: "db", Used: int64((1 - free(m)) * 10240 * mib), Capacity: 10240 * mib})
		}
	}
	for _, tt := range []struct {
		name string
		free func(m int) float64
		want string
	}{
		{"full, then mended", func(m int) float64 {
			if m < 100 {
				return 0.02
			}
			return 0.5
		}, "firing resolved"},
		{"filling", func(m int) float64 { return 0.16 - float64(m)/60*0.005 }, "pending firing"},
		{"low and steady", func(int) float64 { return 0.10 }, ""},
		{"filling with much free", func(m int) float64 { return 0.9 - float64(m)/60*0.005 }, ""},
		{"filling too slowly to matter", func(m int) float64 { return 0.14 - float64(m)/60*0.0002 }, ""},
		{"a nightly job", func(m int) float64 { return 0.10 - 0.02*float64(m%360)/360 }, ""},
		{"not yet over", func(m int) float64 {
			if m < 100 {
				return 0.02
			}
			return 0.15
		}, "firing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 1500, volume(s, tt.free))
			if got := s.heard(VolumeFull); got != tt.want {
				t.Errorf("it said %q, want %q: %v", got, tt.want, s.said)
			}
		})
	}
}

// TestVolumeFullIn holds the forecast that is shown against what is true.
func TestVolumeFullIn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		minutes int
		free    func(m int) float64
		hours   float64 // 0: no forecast
	}{
		{"with much free, too far for a message", 1500, func(m int) float64 { return 0.9 - float64(m)/60*0.005 }, (0.9 - 25*0.005) / 0.005},
		{"soon", 1500, func(m int) float64 { return 0.5 - float64(m)/60*0.018 }, (0.5 - 25*0.018) / 0.018},
		{"slower in the last hours: the later one counts", 1500, func(m int) float64 { return 0.9 - min(float64(m), 1000)/60*0.03 - max(float64(m)-1000, 0)/60*0.003 }, (0.9 - 0.5 - 500.0/60*0.003) / 0.003},
		{"steady", 1500, func(int) float64 { return 0.4 }, 0},
		{"it empties", 1500, func(m int) float64 { return 0.4 + float64(m)/60*0.01 }, 0},
		{"a nightly job", 1500, func(m int) float64 { return 0.10 - 0.02*float64(m%360)/360 }, 0},
		{"not known for long enough", 180, func(m int) float64 { return 0.9 - float64(m)/60*0.1 }, 0},
		{"in years", 1500, func(m int) float64 { return 0.9 - float64(m)/60*0.00001 }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, tt.minutes, func(m int, at int64) {
				s.e.Volume(Volume{T: at, Volume: "data", App: "db", Used: int64((1 - tt.free(m)) * 10240 * mib), Capacity: 10240 * mib})
			})
			seconds, ok := s.e.VolumeFullIn("db", "data")
			hours := float64(seconds) / 3600
			if ok != (tt.hours > 0) || ok && (hours < tt.hours*0.9 || hours > tt.hours*1.1) {
				t.Errorf("%.1f hours, %v; want %.1f", hours, ok, tt.hours)
			}
			if _, ok := s.e.VolumeFullIn("db", "another"); ok {
				t.Error("one that was never seen has a forecast")
			}
		})
	}
}

func TestLatency(t *testing.T) {
	for _, tt := range []struct {
		name  string
		p95   func(m int) float64
		count func(m int) int
		want  string
	}{
		{"twice as slow for a while", func(m int) float64 {
			if m >= 200 && m < 230 {
				return 400
			}
			return 150
		}, nil, "pending firing resolved"},
		{"one slow minute", func(m int) float64 {
			if m == 200 {
				return 900
			}
			return 150
		}, nil, "pending resolved"},
		{"slower by what nobody feels", func(m int) float64 {
			if m >= 200 {
				return 60
			}
			return 20
		}, nil, ""},
		{"few requests", func(m int) float64 {
			if m >= 200 {
				return 900
			}
			return 150
		}, func(int) int { return 12 }, ""},
		{"slow from the start", func(int) float64 { return 2000 }, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 400, func(m int, at int64) {
				count := 100
				if tt.count != nil {
					count = tt.count(m)
				}
				s.e.Requests(Requests{T: at, Route: "web.example.com", App: "web", Count: count, P95: tt.p95(m) + 5*s.rng.Float64()})
			})
			if got := s.heard(Latency); got != tt.want {
				t.Errorf("it said %q, want %q: %v", got, tt.want, s.said)
			}
		})
	}
}

func TestErrorRate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		errors func(m int) int
		want   string
	}{
		{"none", func(int) int { return 0 }, ""},
		{"single ones", func(m int) int { return (m + 1) % 2 }, ""},
		{"five of a hundred for a while", func(m int) int {
			if m >= 100 && m < 130 {
				return 5
			}
			return 0
		}, "pending firing resolved"},
		{"always four of a hundred, then five", func(m int) int { return 4 + m/200 }, "pending firing resolved"},
		{"half of all", func(m int) int {
			if m >= 100 {
				return 50
			}
			return 0
		}, "pending firing firing"}, // critical, once a quarter of the window fails
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 300, func(m int, at int64) {
				s.e.Requests(Requests{T: at, Route: "web.example.com", App: "web", Count: 100, Errors: tt.errors(m), P95: 50})
			})
			if got := s.heard(ErrorRate); got != tt.want {
				t.Errorf("it said %q, want %q: %v", got, tt.want, s.said)
			}
		})
	}
}

func TestForgottenAppsAreSilent(t *testing.T) {
	s := newStory()
	feed := func(m int, at int64) {
		s.sample(at, podA, 100+float64(m)/2, 300, 0)
		s.e.Volume(Volume{T: at, Volume: "data", App: "web", Used: 999, Capacity: 1000})
		s.e.Requests(Requests{T: at, Route: "r", App: "web", Count: 100, Errors: 50})
		s.e.Log(LogLine{T: at, App: "web", Pod: podA, Line: "error: no"})
	}
	s.minutes(0, 250, feed)
	if len(s.said) == 0 {
		t.Fatal("nothing was said of it while it was there")
	}
	s.e.Forget("web")
	s.said = nil
	s.minutes(250, 400, func(int, int64) {})
	if len(s.said) > 0 {
		t.Errorf("it is gone, and is said: %v", s.said)
	}
}

func TestSameInputSameAlerts(t *testing.T) {
	tell := func() []string {
		s := newStory()
		s.minutes(0, 250, func(m int, at int64) {
			for i := range 20 {
				s.sample(at, fmt.Sprintf("web%d-production-7c9d8f6b5-x2k4q", i), 100+float64(m)/2, 300, 0)
			}
			s.e.Volume(Volume{T: at, Volume: "data", App: "web", Used: 999, Capacity: 1000})
		})
		var lines []string
		for _, a := range s.all {
			lines = append(lines, fmt.Sprintf("%+v", a))
		}
		return lines
	}
	if a, b := tell(), tell(); !slices.Equal(a, b) || len(a) < 40 {
		t.Errorf("%d alerts differ from %d", len(a), len(b))
	}
}
