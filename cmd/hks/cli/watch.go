package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

const (
	deployTimeout = 10 * time.Minute
	redrawPause   = 100 * time.Millisecond
	lastLines     = 20 // of a failed container, shown at once
)

// accepted says that a release is on its way and how to follow it.
func (s *session) accepted(ref appRef, r agent.Release) error {
	if s.json {
		return s.screen.printJSON(r)
	}
	s.screen.print("%s: release %d is accepted; follow it: %s", ref, r.Number, followCommand(ref, r.Number))
	return nil
}

func followCommand(ref appRef, number int) string {
	return fmt.Sprintf("hks releases %s %d --follow", ref.arg(), number)
}

// watchRelease shows a release's progress to its end: on success the URL is
// the last line of the output, on failure it says all there is to know.
func (s *session) watchRelease(ctx context.Context, c *client.Client, ref appRef, number int, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	release, err := s.watchProgress(limited, c, ref, number)
	switch {
	case err != nil && ctx.Err() != nil:
		return agent.Errorf(agent.CodeRollout, "follow it: "+followCommand(ref, number), "no longer watching; release %d of %s goes on by itself", number, ref)
	case err != nil && errors.Is(err, context.DeadlineExceeded):
		return agent.Errorf(agent.CodeRollout, "follow it: "+followCommand(ref, number), "release %d of %s is not finished after %s; it goes on by itself", number, ref, timeout)
	case err != nil:
		return err
	}
	app, appErr := c.App(ctx, ref.name, ref.env)
	if release.Status != agent.ReleaseSucceeded {
		return s.explainFailure(ref, release, app)
	}
	if appErr != nil {
		return appErr
	}
	if s.json {
		return s.screen.printJSONLine(map[string]agent.App{"app": app})
	}
	s.screen.print("%s", clean(app.URL))
	return nil
}

// watchProgress shows the steps and returns the finished release.
func (s *session) watchProgress(ctx context.Context, c *client.Client, ref appRef, number int) (agent.Release, error) {
	view := newSteps(s.screen, s.now)
	if s.json {
		view = nil
	}
	release := agent.Release{Number: number}
	source := c.Progress(ctx, ref.name, ref.env, number)
	for p, err := range ticking(source, redrawPause, view.redraw) {
		if err != nil {
			view.finish(left)
			return release, err
		}
		if s.json {
			if err := s.screen.printJSONLine(p); err != nil {
				return release, err
			}
		}
		if p.Step != "failed" { // the error that follows says it
			view.add(p)
		}
		if p.Release != nil {
			release = *p.Release
		}
		if p.Done {
			if release.Status == agent.ReleaseSucceeded {
				view.finish(succeeded)
			}
			view.finish(failed) // unless it has finished
			return release, nil
		}
	}
	// The stream ended without a last word: ask for it.
	view.finish(left)
	return c.Release(ctx, ref.name, ref.env, number)
}

// ticking yields what source yields and calls tick in the pauses.
func ticking(source iter.Seq2[agent.Progress, error], every time.Duration, tick func()) iter.Seq2[agent.Progress, error] {
	type item struct {
		p   agent.Progress
		err error
	}
	return func(yield func(agent.Progress, error) bool) {
		items, stop := make(chan item), make(chan struct{})
		var reader sync.WaitGroup
		defer reader.Wait()
		defer close(stop)
		reader.Go(func() {
			defer close(items)
			for p, err := range source {
				select {
				case items <- item{p, err}:
				case <-stop:
					return
				}
			}
		})
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case it, ok := <-items:
				if !ok || !yield(it.p, it.err) {
					return
				}
			case <-ticker.C:
				tick()
			}
		}
	}
}

// explainFailure says why a release failed, what its container last wrote, and what
// serves now.
func (s *session) explainFailure(ref appRef, r agent.Release, app agent.App) error {
	if r.Status == agent.ReleaseCancelled {
		return agent.Errorf(agent.CodeConflict, "see hks releases "+ref.arg(), "release %d of %s was cancelled: a newer one took its place, or the application was stopped", r.Number, ref)
	}
	failure := agent.Failure{Code: agent.CodeRollout, Message: "no reason was recorded"}
	if r.Failure != nil {
		failure = *r.Failure
	}
	details := map[string]any{"release": r.Number, "serving": app.Release}
	message := fmt.Sprintf("release %d of %s failed: %s", r.Number, ref, failure.Message)
	if failure.ExitCode != nil {
		details["exitCode"] = *failure.ExitCode
		if code := "exit code " + strconv.Itoa(*failure.ExitCode); !strings.Contains(failure.Message, code) {
			message += "\n" + code
		}
	}
	if len(failure.Logs) > 0 {
		details["logs"] = failure.Logs
		if !s.json {
			message += s.tail(ref, r.Number, failure.Logs)
		}
	}
	switch {
	case app.Release > 0:
		message += fmt.Sprintf("\nrelease %d still serves %s", app.Release, app.URL)
	case app.Name != "":
		message += "\nno release serves yet"
	}
	return &agent.Error{Code: failure.Code, Message: message, Fix: failure.Fix, Details: details}
}

func (s *session) tail(ref appRef, number int, lines []string) string {
	text := "\nlast lines:"
	if more := len(lines) - lastLines; more > 0 {
		text = fmt.Sprintf("\nlast lines (%d more: hks releases %s %d):", more, ref.arg(), number)
		lines = lines[more:]
	}
	for _, line := range lines {
		text += "\n  " + s.screen.errStyle.dim(clean(line))
	}
	return text
}
