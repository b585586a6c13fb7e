package aiops

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/agent/store"
)

// Incidents keeps incidents, with their notes and reports in one transaction.
type Incidents interface {
	OpenIncidents(ctx context.Context) ([]agent.Incident, error)
	Incidents(ctx context.Context, limit int) ([]agent.Incident, error)
	Incident(ctx context.Context, id int64) (agent.Incident, bool, error)
	LastIncident(ctx context.Context, fingerprint string) (agent.Incident, bool, error)
	PutIncident(ctx context.Context, i agent.Incident, notes []agent.IncidentNote, reports []agent.Report) (agent.Incident, error)
	AddReport(ctx context.Context, r agent.Report) error
}

// Silences keeps what the owner does not want to hear of.
type Silences interface {
	Silences(ctx context.Context) ([]agent.Silence, error)
	AddSilence(ctx context.Context, s agent.Silence) (agent.Silence, error)
	RemoveSilence(ctx context.Context, id int64) (bool, error)
	AcceptFingerprint(ctx context.Context, fingerprint, by string, at time.Time) error
	AcceptedFingerprints(ctx context.Context) ([]store.Accepted, error)
}

// Apps tells what there is to know of apps.
type Apps interface {
	List(ctx context.Context) ([]agent.App, error)
	Releases(ctx context.Context, app string, env agent.Environment) ([]agent.Release, error)
	Logs(ctx context.Context, app string, env agent.Environment, q agent.LogQuery) iter.Seq2[agent.LogLine, error]
	// Tail reads the last lines of an instance, without secrets.
	Tail(ctx context.Context, app string, env agent.Environment, pod string, previous bool, lines int) []string
}

// Domains tells how certificates do; an empty app is all of them.
type Domains interface {
	List(ctx context.Context, app string, env agent.Environment) ([]agent.Domain, error)
}

// Explainer puts evidence into plain language; nil where none is configured.
type Explainer interface {
	Explain(ctx context.Context, i agent.Incident) (string, error)
}

// Config is what the manager needs.
type Config struct {
	Cluster   Cluster
	Workspace Namespace
	Incidents Incidents
	Silences  Silences
	Apps      Apps
	Domains   Domains
	Recorder  *Recorder
	Gateway   Gateway
	Exists    func(ctx context.Context, s agent.Subject) (bool, error) // whether a cron job, pipeline or service is still there; default yes
	Explainer Explainer
	Kills     Kills // nil: nobody counts them
	Params    detect.Params
	Speed     float64               // of the assistant's clock; 1 is real, more is for trying it out
	Link      func(id int64) string // to an incident's page
	Reported  func()                // a report was written
	Publish   func(kind, name string, data any)
	Record    func(context.Context, agent.Activity)
	Now       func() time.Time
	Log       *slog.Logger
}
