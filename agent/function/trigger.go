package function

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"hks.dev/hks/agent"
)

const (
	// depthName is the extension that counts how many functions an event came
	// through: each answered with the next.
	depthName = "hksdepth"
	maxDepth  = 8
	// ownSource is where the appliance's own events come from.
	ownSource = "/hks"
)

// checkSchedules refuses triggers that could not be followed.
func (m *Manager) checkSchedules(ctx context.Context, spec agent.FunctionSpec) error {
	cron := cronOf(spec.Triggers)
	if m.cfg.Schedules == nil {
		if len(cron) > 0 {
			return invalid("triggers", "there are no cron jobs here")
		}
		return nil
	}
	return m.cfg.Schedules.CheckTriggers(ctx, spec.Name, cron)
}

func (m *Manager) follow(ctx context.Context, name string, triggers []agent.FunctionTrigger, by string) error {
	if m.cfg.Schedules == nil {
		return nil
	}
	return m.cfg.Schedules.FollowTriggers(ctx, name, cronOf(triggers), by)
}

// followAll brings the cron jobs to where an agent that ended in between left them.
func (m *Manager) followAll(ctx context.Context) {
	m.mu.Lock()
	list := slices.Collect(maps.Values(m.functions))
	m.mu.Unlock()
	for _, f := range list {
		if f.Active == 0 {
			continue
		}
		if err := m.follow(ctx, f.Name, f.spec.Triggers, "hks"); err != nil {
			m.cfg.Log.Error("the triggers of a function can't be followed", "function", f.Name, "err", err)
		}
	}
}

func cronOf(triggers []agent.FunctionTrigger) []agent.FunctionTrigger {
	var list []agent.FunctionTrigger
	for _, t := range triggers {
		if t.Cron != "" {
			list = append(list, t)
		}
	}
	return list
}

// waitsFor tells whether one of the triggers is for events of the type.
func waitsFor(triggers []agent.FunctionTrigger, kind string) bool {
	return slices.ContainsFunc(triggers, func(t agent.FunctionTrigger) bool {
		start, any := strings.CutSuffix(t.Event, "*")
		return t.Event != "" && (t.Event == kind || any && strings.HasPrefix(kind, start))
	})
}

// Emit has every function that waits for events of its type called with the
// event. When it returns, those calls are on disk; an event with the id and
// source of an earlier one makes none.
func (m *Manager) Emit(ctx context.Context, e agent.FunctionEvent) (agent.FunctionEventSent, error) {
	if e.ID == "" {
		e.ID = rand.Text()
	}
	if e.Source == "" {
		e.Source = ownSource
	}
	made := cloudevents.New()
	made.SetID(e.ID)
	made.SetType(e.Type)
	made.SetSource(e.Source)
	if e.Subject != "" {
		made.SetSubject(e.Subject)
	}
	made.SetTime(m.cfg.Now())
	if len(e.Data) > 0 {
		if err := made.SetData(cloudevents.ApplicationJSON, []byte(e.Data)); err != nil {
			return agent.FunctionEventSent{}, notAnEvent(err)
		}
	}
	return m.emit(ctx, made, 0)
}

func notAnEvent(err error) error {
	return agent.Errorf(agent.CodeInvalid, "give it a type, such as com.example.uploaded", "this is no CloudEvent: %v", strings.Join(strings.Fields(err.Error()), " "))
}

func (m *Manager) emit(ctx context.Context, e cloudevents.Event, depth int) (agent.FunctionEventSent, error) {
	if err := e.Validate(); err != nil {
		return agent.FunctionEventSent{}, notAnEvent(err)
	}
	if len(e.Data()) > agent.MaxFunctionEvent {
		return agent.FunctionEventSent{}, agent.Errorf(agent.CodeTooLarge, "keep the data elsewhere and send where it is", "the event has %d bytes, more than the %d of an asynchronous call", len(e.Data()), agent.MaxFunctionEvent)
	}
	e.SetExtension(depthName, strconv.Itoa(depth))
	call, err := callOf(ctx, e)
	if err != nil {
		return agent.FunctionEventSent{}, err
	}
	sent := agent.FunctionEventSent{ID: e.ID(), Functions: []string{}}
	m.mu.Lock()
	for _, f := range m.functions {
		if f.Active != 0 && waitsFor(f.spec.Triggers, e.Type()) {
			sent.Functions = append(sent.Functions, f.Name)
		}
	}
	m.mu.Unlock()
	slices.Sort(sent.Functions)
	for _, name := range sent.Functions {
		if _, err := m.cfg.Store.AddLetter(ctx, name, call); err != nil {
			return sent, err
		}
	}
	if len(sent.Functions) > 0 {
		m.nudgeQueue()
	}
	return sent, nil
}

// callOf is the call that carries an event, in binary mode.
func callOf(ctx context.Context, e cloudevents.Event) (agent.FunctionCall, error) {
	request, err := cehttp.NewHTTPRequestFromEvent(ctx, "http://function/", e)
	if err != nil {
		return agent.FunctionCall{}, fmt.Errorf("writing an event: %w", err)
	}
	call := agent.FunctionCall{Headers: map[string]string{}, Key: "event " + e.Source() + " " + e.ID()}
	for name := range request.Header {
		call.Headers[name] = request.Header.Get(name)
	}
	if request.Body != nil {
		if call.Payload, err = io.ReadAll(request.Body); err != nil {
			return agent.FunctionCall{}, fmt.Errorf("writing an event: %w", err)
		}
	}
	return call, nil
}

// reply sends the event on that a function answered an asynchronous call with;
// other answers are nothing. An event that went through too many functions ends
// there.
func (m *Manager) reply(ctx context.Context, l agent.FunctionLetter, answer agent.FunctionAnswer) error {
	header := http.Header{}
	for name, value := range answer.Headers {
		header.Set(name, value)
	}
	if header.Get("Ce-Type") == "" && !strings.HasPrefix(header.Get("Content-Type"), cloudevents.ApplicationCloudEventsJSON) {
		return nil
	}
	e, err := cehttp.NewEventFromHTTPResponse(&http.Response{StatusCode: answer.Status, Header: header, Body: io.NopCloser(bytes.NewReader(answer.Body))})
	if err != nil {
		return notAnEvent(err)
	}
	depth := 1
	for name, value := range l.Headers {
		if strings.EqualFold(name, "Ce-"+depthName) {
			if before, err := strconv.Atoi(value); err == nil {
				depth = before + 1
			}
		}
	}
	if depth > maxDepth {
		return agent.Errorf(agent.CodeTooMany, "see that functions do not answer each other for ever", "the event %s of %s went through %d functions, and goes no further", e.Type(), l.Function, maxDepth)
	}
	_, err = m.emit(ctx, *e, depth)
	return err
}
