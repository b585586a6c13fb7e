package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// emitWithin bounds how long the writing of an event may take.
const emitWithin = 10 * time.Second

// emit sends an event of the appliance's own to the functions that wait for it.
// Its id is the same when it is sent again, so that no function gets it twice.
func (p *parts) emit(ctx context.Context, log *slog.Logger, e agent.FunctionEvent, about any) {
	if p.functions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), emitWithin)
	defer cancel()
	var err error
	if e.Data, err = json.Marshal(about); err == nil {
		_, err = p.functions.Emit(ctx, e)
	}
	if err != nil {
		log.Error("an event could not be sent to functions", "type", e.Type, "id", e.ID, "err", err)
	}
}

// incidentEvents makes events of what becomes of incidents.
type incidentEvents struct {
	publish func(kind, subject string, object any)
	emit    func(e agent.FunctionEvent, about any)
	now     func() time.Time

	mu   sync.Mutex       // guards last
	last map[int64]string // what was sent of an incident
}

// fresh is how old the opening of an incident may be that is seen for the first
// time: an older one was told of by an agent before.
const fresh = time.Minute

// Publish passes on, and sends an event when an incident opened or is resolved.
func (e *incidentEvents) Publish(kind, subject string, object any) {
	e.publish(kind, subject, object)
	i, ok := object.(agent.Incident)
	if !ok || kind != "incident" {
		return
	}
	became := "opened"
	if !i.ResolvedAt.IsZero() {
		became = "resolved"
	}
	id := fmt.Sprintf("incident-%d-%d-%s", i.ID, i.Reopened, became)
	e.mu.Lock()
	before, known := e.last[i.ID]
	e.last[i.ID] = id
	e.mu.Unlock()
	if before == id || !known && became == "opened" && i.Reopened == 0 && e.now().Sub(i.OpenedAt) > fresh {
		return
	}
	e.emit(agent.FunctionEvent{ID: id, Type: agent.EventIncident + became, Source: "/hks/incidents", Subject: subject}, i)
}
