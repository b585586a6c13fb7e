package function

import (
	"context"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

const (
	maxAttempts = 3
	maxAge      = 6 * time.Hour
	lease       = (maxTimeout + 100) * time.Second // longer than any call
	atATime     = 4                                // asynchronous calls
	lookLetters = 5 * time.Second
	firstPause  = 5 * time.Second // before the second attempt; then six times that
)

// Invoke calls a function and waits for its answer.
func (m *Manager) Invoke(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error) {
	if _, err := m.find(name); err != nil {
		return agent.FunctionAnswer{}, err
	}
	return m.cfg.Gateway.CallFunction(ctx, name, call)
}

// InvokeAsync accepts a call; it is on disk when this returns.
func (m *Manager) InvokeAsync(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionLetter, error) {
	if _, err := m.find(name); err != nil {
		return agent.FunctionLetter{}, err
	}
	if len(call.Payload) > agent.MaxFunctionEvent {
		return agent.FunctionLetter{}, agent.Errorf(agent.CodeTooLarge, "keep the data elsewhere and send where it is", "the payload has %d bytes, more than the %d of an asynchronous call", len(call.Payload), agent.MaxFunctionEvent)
	}
	l, err := m.cfg.Store.AddLetter(ctx, name, call)
	if err == nil {
		m.nudgeQueue()
	}
	return l, err
}

// Letters lists the asynchronous calls that are not done, dead ones too.
func (m *Manager) Letters(ctx context.Context, name string) ([]agent.FunctionLetter, error) {
	if _, err := m.find(name); err != nil {
		return nil, err
	}
	return m.cfg.Store.Letters(ctx, name)
}

// Redrive has the dead letters tried again and returns how many.
func (m *Manager) Redrive(ctx context.Context, name string) (int64, error) {
	if _, err := m.find(name); err != nil {
		return 0, err
	}
	n, err := m.cfg.Store.RedriveLetters(ctx, name)
	m.nudgeQueue()
	return n, err
}

func (m *Manager) nudgeQueue() {
	select {
	case m.letter <- struct{}{}:
	default: // it will look already
	}
}

// keepQueue makes the calls that are due.
func (m *Manager) keepQueue(ctx context.Context) {
	slots := make(chan struct{}, atATime)
	for {
		free := atATime - len(slots)
		letters, err := m.cfg.Store.LeaseLetters(ctx, lease, free)
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Error("asynchronous calls can't be read", "err", err)
		}
		for _, l := range letters {
			slots <- struct{}{} // there is room: only this loop fills it
			m.background(func(ctx context.Context) {
				defer func() {
					<-slots
					m.nudgeQueue()
				}()
				m.deliver(ctx, l)
			})
		}
		timer := time.NewTimer(lookLetters)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.letter:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// deliver makes one attempt. An agent that ends meanwhile leaves the lease, after
// which the call is made again: at least once.
func (m *Manager) deliver(ctx context.Context, l agent.FunctionLetter) {
	answer, err := m.cfg.Gateway.CallFunction(ctx, l.Function, agent.FunctionCall{Payload: l.Payload, Headers: l.Headers})
	if ctx.Err() != nil {
		return
	}
	message := ""
	switch {
	case err != nil:
		message = err.Error()
	case answer.Status >= 400:
		message = fmt.Sprintf("answered %d: %.500s", answer.Status, answer.Body)
	default:
		if err := m.reply(ctx, l, answer); err != nil {
			message = "the event that it answered with can't be sent on: " + err.Error()
			l.Attempts = maxAttempts // it would answer with the same
		}
	}
	status, next := "done", m.cfg.Now()
	if message != "" {
		status, next = afterFailure(l, next)
	}
	if err := m.cfg.Store.EndLetter(ctx, l.ID, status, message, next); err != nil {
		m.cfg.Log.Error("what came of an asynchronous call can't be kept; it is made again", "call", l.ID, "err", err)
	}
	if status == "dead" {
		m.tell(ctx, "error", l.Function, fmt.Sprintf("call %d of %s is a dead letter: %s", l.ID, l.Function, message), "")
	}
}

// afterFailure tells whether and when a call is tried again.
func afterFailure(l agent.FunctionLetter, now time.Time) (status string, next time.Time) {
	if l.Attempts >= maxAttempts || now.Sub(l.CreatedAt) > maxAge {
		return "dead", now
	}
	pause := firstPause
	for range l.Attempts - 1 {
		pause *= 6
	}
	return "pending", now.Add(pause)
}
