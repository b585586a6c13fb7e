package api

import (
	"context"
	"log/slog"

	"hks.dev/hks/agent"
)

// Journal records what happened: in the store, and as an event.
type Journal struct {
	store Activities
	hub   *Hub
	log   *slog.Logger
}

// NewJournal makes a journal over the store and the hub.
func NewJournal(store Activities, hub *Hub, log *slog.Logger) *Journal {
	return &Journal{store: store, hub: hub, log: log}
}

// Record keeps one line and tells the listeners. What it tells of has
// happened already, so a failure to keep the line goes to the log only.
func (j *Journal) Record(ctx context.Context, activity agent.Activity) {
	kept, err := j.store.AddActivity(context.WithoutCancel(ctx), activity)
	if err != nil {
		j.log.ErrorContext(ctx, "an activity was not kept", "subject", activity.Subject, "message", activity.Message, "error", err)
		return
	}
	j.hub.Publish("activity", kept.Subject, kept)
}

// warnOwner records a warning about the owner's account.
func (j *Journal) warnOwner(ctx context.Context, message string) {
	j.Record(ctx, agent.Activity{Level: "warning", Subject: ownerName, Message: message})
}
