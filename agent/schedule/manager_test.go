package schedule

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// runner plays what runs: each run takes as long as takes says.
type runner struct {
	mu      sync.Mutex // guards what follows
	begun   map[int64]int
	ended   map[int64]bool
	takes   time.Duration
	outcome Outcome
	refuses error
}

func (r *runner) Check(context.Context, agent.CronTarget) error { return r.refuses }

func (r *runner) Run(ctx context.Context, _ agent.CronJob, run agent.CronRun) (Outcome, error) {
	r.mu.Lock()
	r.begun[run.ID]++
	takes, outcome := r.takes, r.outcome
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	case <-time.After(takes):
		return outcome, nil
	}
}

func (r *runner) End(_ context.Context, _ agent.CronJob, run agent.CronRun) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[run.ID] = true
	return nil
}

// bench is a manager over a real database, whose clock can be set.
type bench struct {
	*Manager
	t      *testing.T
	store  *store.Store
	runner *runner
	plan   agent.Plan
	dir    string

	mu     sync.Mutex // guards what follows
	ahead  time.Duration
	warmed []string
	told   []agent.CronRun
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, runner: &runner{begun: map[int64]int{}, ended: map[int64]bool{}, takes: time.Second}, plan: agent.Plan{Name: "hobby", CronJobs: 10}, dir: t.TempDir()}
	s, err := store.New(store.Config{Path: filepath.Join(b.dir, "hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b.store = s
	b.restart()
	t.Cleanup(b.halt)
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.ahead)
}

func (b *bench) setClock(ahead time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += ahead
}

// restart begins a new manager over the same database.
func (b *bench) restart() {
	b.t.Helper()
	var err error
	b.Manager, err = New(Config{
		Store: b.store, Containers: b.runner, Functions: b.runner, Dir: filepath.Join(b.dir, "out"),
		Limit: func(context.Context) (agent.Plan, error) { return b.plan, nil },
		Prewarm: func(_ context.Context, function string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.warmed = append(b.warmed, function)
		},
		Ended: func(_ context.Context, _ agent.CronJob, r agent.CronRun) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, r)
		},
		Now: b.now,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) halt() {
	if err := b.Stop(context.Background()); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) create(change func(*agent.CronJob)) {
	b.t.Helper()
	j := agent.CronJob{Name: "nightly", Schedule: "0 * * * *", Target: agent.CronTarget{Image: "tools:1"}}
	if change != nil {
		change(&j)
	}
	if _, err := b.Create(b.t.Context(), j, "owner"); err != nil {
		b.t.Fatal(err)
	}
}

// runs are the runs so far, the oldest first.
func (b *bench) runs() []agent.CronRun {
	b.t.Helper()
	runs, err := b.store.CronRuns(b.t.Context(), "", 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	oldest := make([]agent.CronRun, 0, len(runs))
	for i := range runs {
		oldest = append(oldest, runs[len(runs)-1-i])
	}
	return oldest
}

func statuses(runs []agent.CronRun) string {
	var words []string
	for _, r := range runs {
		words = append(words, string(r.Status))
	}
	return strings.Join(words, " ")
}

func TestA51RunsAtItsTimeAndKeepsTheOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock begins at midnight UTC, 1 January 2000
		b := newBench(t)
		b.runner.outcome = Outcome{Output: []byte("done\n")}
		b.create(nil)
		time.Sleep(3*time.Hour + 30*time.Minute)
		runs := b.runs()
		if statuses(runs) != "succeeded succeeded succeeded" {
			t.Fatalf("%s", statuses(runs))
		}
		for i, r := range runs {
			if want := time.Date(2000, 1, 1, i+1, 0, 0, 0, time.UTC); !r.Slot.Equal(want) || r.StartedAt.Sub(want) > time.Second {
				t.Errorf("run %d was for %s and began at %s", r.ID, r.Slot, r.StartedAt)
			}
			if output, err := b.Output(t.Context(), r.ID); err != nil || string(output) != "done\n" {
				t.Errorf("its output: %q %v", output, err)
			}
		}
		j, err := b.Get(t.Context(), "nightly")
		if err != nil || len(j.Next) != 5 || !j.Next[0].Equal(time.Date(2000, 1, 1, 4, 0, 0, 0, time.UTC)) || j.Last == nil {
			t.Errorf("%+v %v", j, err)
		}
	})
}

func TestA54FailureIsToldAndRunNowWorksAfterTheMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		code := 3
		b.runner.outcome = Outcome{Failed: true, Message: "it ended with exit code 3", ExitCode: &code, Output: []byte("no such table\n")}
		b.create(nil)
		time.Sleep(time.Hour + time.Minute)
		runs := b.runs()
		if len(runs) != 1 || runs[0].Status != agent.RunFailed || runs[0].ExitCode == nil || *runs[0].ExitCode != 3 || len(b.told) != 1 {
			t.Fatalf("%+v, told of %d", runs, len(b.told))
		}
		b.runner.outcome = Outcome{}
		r, err := b.RunNow(t.Context(), "nightly", "owner")
		if err != nil || !r.Manual || r.By != "owner" {
			t.Fatalf("%+v %v", r, err)
		}
		time.Sleep(2 * time.Second)
		if r, err = b.Run(t.Context(), r.ID); err != nil || r.Status != agent.RunSucceeded {
			t.Errorf("%+v %v", r, err)
		}
	})
}

func TestA57RunPastItsTimeoutIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.runner.takes = time.Hour
		b.create(func(j *agent.CronJob) { j.Timeout = time.Minute })
		time.Sleep(time.Hour + 2*time.Minute)
		if runs := b.runs(); len(runs) != 1 || runs[0].Status != agent.RunFailed || !strings.Contains(runs[0].Message, "1m0s") || !b.runner.ended[runs[0].ID] {
			t.Errorf("%+v", runs)
		}
	})
}

func TestA58Overlaps(t *testing.T) {
	for concurrency, want := range map[string]string{
		agent.ConcurrencyForbid:  "succeeded cancelled running cancelled",
		agent.ConcurrencyAllow:   "succeeded succeeded running running",
		agent.ConcurrencyReplace: "cancelled cancelled cancelled running",
		agent.ConcurrencyQueue:   "succeeded succeeded running pending",
	} {
		t.Run(concurrency, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.runner.takes = 90 * time.Minute
				b.create(func(j *agent.CronJob) { j.Concurrency, j.Timeout = concurrency, 2*time.Hour })
				time.Sleep(4*time.Hour + 10*time.Minute)
				if runs := b.runs(); statuses(runs) != want {
					t.Errorf("%s, want %s: %+v", statuses(runs), want, runs)
				}
			})
		})
	}
}

func TestA58PauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(nil)
		if _, err := b.Pause(t.Context(), "nightly", "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Hour + 30*time.Minute)
		if j, err := b.Resume(t.Context(), "nightly", "owner"); err != nil || j.Paused || len(j.Next) != 5 {
			t.Errorf("%+v %v", j, err)
		}
		time.Sleep(time.Hour)
		if runs := b.runs(); len(runs) != 1 || runs[0].Slot.Hour() != 6 {
			t.Errorf("%+v", runs)
		}
	})
}

func TestA58MissedRunsFollowThePolicy(t *testing.T) {
	for policy, want := range map[string]string{
		agent.CatchUpNone: "failed",                               // one line says how many were missed
		agent.CatchUpOne:  "failed succeeded",                     // the latest
		agent.CatchUpAll:  "failed succeeded succeeded succeeded", // those within the deadline
	} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.create(func(j *agent.CronJob) {
					j.CatchUp, j.Deadline, j.Concurrency = policy, 3*time.Hour, agent.ConcurrencyQueue
				})
				b.halt()
				time.Sleep(10*time.Hour + 30*time.Minute) // the appliance is off
				b.restart()
				time.Sleep(10 * time.Second)
				runs := b.runs()
				if got := statuses(runs); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
				if !strings.Contains(runs[0].Message, "missed") {
					t.Errorf("%q", runs[0].Message)
				}
			})
		})
	}
}

func TestA58SlotRunsOnceThoughTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(nil)
		time.Sleep(2*time.Hour + 10*time.Minute) // two slots
		b.setClock(-90 * time.Minute)            // they come again
		time.Sleep(3 * time.Hour)                // until 03:40 by that clock: one new slot
		runs := b.runs()
		seen := map[time.Time]bool{}
		for _, r := range runs {
			if seen[r.Slot] {
				t.Errorf("the slot %s ran twice", r.Slot)
			}
			seen[r.Slot] = true
		}
		if len(runs) != 3 {
			t.Errorf("%+v", runs)
		}
	})
}

func TestA96RunIsTakenUpAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.runner.takes = 10 * time.Minute
		b.create(func(j *agent.CronJob) { j.Timeout = time.Hour })
		b.create(func(j *agent.CronJob) {
			j.Name, j.Timeout, j.Target = "call", time.Hour, agent.CronTarget{Function: "hello"}
		})
		time.Sleep(time.Hour + 5*time.Minute)
		b.halt()
		if got := statuses(b.runs()); got != "running running" {
			t.Fatalf("%s", got)
		}
		b.restart()
		time.Sleep(20 * time.Minute)
		for _, r := range b.runs() {
			want := agent.RunSucceeded
			if r.Job == "call" { // it is not called twice
				want = agent.RunFailed
			}
			if r.Status != want {
				t.Errorf("%s is %s: %s", r.Job, r.Status, r.Message)
			}
		}
	})
}

func TestFunctionIsWarmedAMomentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(func(j *agent.CronJob) { j.Target = agent.CronTarget{Function: "hello"} })
		warmed := func() []string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return slices.Clone(b.warmed)
		}
		time.Sleep(time.Hour - 5*time.Second)
		if got := warmed(); len(got) != 0 {
			t.Errorf("warmed too early: %v", got)
		}
		time.Sleep(4 * time.Second)
		if got := warmed(); len(got) == 0 || len(b.runs()) != 0 {
			t.Errorf("a second before: warmed %v, runs %+v", got, b.runs())
		}
	})
}

func TestCancelAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.runner.takes = time.Hour
		b.create(func(j *agent.CronJob) { j.Timeout = 2 * time.Hour })
		r, err := b.RunNow(t.Context(), "nightly", "owner")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if r, err = b.Cancel(t.Context(), r.ID, "owner"); err != nil || r.Status != agent.RunCancelled || !b.runner.ended[r.ID] {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := b.Cancel(t.Context(), r.ID, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("cancelled twice: %v", err)
		}
		if err := b.Delete(t.Context(), "nightly", "owner"); err != nil || len(b.runs()) != 0 {
			t.Errorf("%v, %d runs are left", err, len(b.runs()))
		}
		if err := b.Delete(t.Context(), "nightly", "owner"); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

func TestA56EleventhJobIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, name := range strings.Fields("a b c d e f g h i j") {
			b.create(func(j *agent.CronJob) { j.Name = name })
		}
		_, err := b.Create(t.Context(), agent.CronJob{Name: "k", Schedule: "@daily", Target: agent.CronTarget{Image: "tools:1"}}, "owner")
		known, ok := errors.AsType[*agent.Error](err)
		if !ok || known.Code != agent.CodePlanLimit || !strings.Contains(known.Message, "10") || !strings.Contains(known.Fix, "hks plan upgrade") {
			t.Errorf("%v", err)
		}
		b.plan.CronJobs = agent.Unlimited
		b.create(func(j *agent.CronJob) { j.Name = "k" })
	})
}

func TestA55RefusedBeforeAnythingIsKept(t *testing.T) {
	tests := map[string]struct {
		change func(*agent.CronJob)
		code   agent.Code
	}{
		"schedule":    {func(j *agent.CronJob) { j.Schedule = "0 25 * * *" }, agent.CodeInvalidSchedule},
		"zone":        {func(j *agent.CronJob) { j.TimeZone = "Mars/Base" }, agent.CodeInvalidSchedule},
		"name":        {func(j *agent.CronJob) { j.Name = "Night ly" }, agent.CodeInvalid},
		"concurrency": {func(j *agent.CronJob) { j.Concurrency = "maybe" }, agent.CodeInvalid},
		"catch up":    {func(j *agent.CronJob) { j.CatchUp = "some" }, agent.CodeInvalid},
		"timeout":     {func(j *agent.CronJob) { j.Timeout = 48 * time.Hour }, agent.CodeInvalid},
		"no target":   {func(j *agent.CronJob) { j.Target = agent.CronTarget{} }, agent.CodeInvalid},
		"two targets": {func(j *agent.CronJob) { j.Target.Function = "hello" }, agent.CodeInvalid},
		"payload":     {func(j *agent.CronJob) { j.Target.Payload = "{" }, agent.CodeInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				j := agent.CronJob{Name: "nightly", Schedule: "@daily", Target: agent.CronTarget{Image: "tools:1"}}
				tt.change(&j)
				if _, err := b.Create(t.Context(), j, "owner"); agent.CodeOf(err) != tt.code {
					t.Errorf("it gave %v", err)
				}
				if n, err := b.Count(t.Context()); n != 0 || err != nil {
					t.Errorf("%d jobs are there, %v", n, err)
				}
			})
		})
	}
}
