package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/cgroup"
	"hks.dev/hks/agent/chart"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/llm"
	"hks.dev/hks/agent/mail"
	"hks.dev/hks/agent/slack"
	"hks.dev/hks/agent/store"
	"hks.dev/hks/agent/webhook"
)

// sendTimeout bounds one call of a channel's server.
const sendTimeout = 20 * time.Second

// buildAssistant makes what watches, judges and tells. Of the parts it asks
// only what they have seen; they tell it how things ended.
func (p *parts) buildAssistant(cfg Config, cluster *kube.Client, gateway *gatewayClient, hub *api.Hub, journal *api.Journal) (err error) {
	settings := cfg.Settings.Assistant
	p.series, err = store.NewSeries(store.SeriesConfig{Path: cfg.Settings.Paths().State("series.db"), Budget: int64(settings.Series)})
	if err != nil {
		return err
	}
	recorder, err := aiops.NewRecorder(p.series, cfg.Log)
	if err != nil {
		return err
	}
	if p.reporter, err = newReporter(cfg, p.store, hub); err != nil {
		return err
	}
	explainer, err := newExplainer(settings.Explain)
	if err != nil {
		return err
	}
	events := &incidentEvents{publish: hub.Publish, now: time.Now, last: map[int64]string{}, emit: func(e agent.FunctionEvent, about any) { p.emit(context.Background(), cfg.Log, e, about) }}
	p.assistant, err = aiops.New(aiops.Config{
		Explainer: explainer, Kills: newKills(cfg.Log),
		Cluster: cluster, Workspace: p.workspace, Incidents: p.store, Silences: p.store, Apps: p.apps, Domains: p.domains,
		Exists:   p.exists,
		Recorder: recorder, Gateway: gateway, Params: detect.Default(), Speed: settings.Speed,
		Link:     func(id int64) string { return incidentLink(p.api.URL(), id) },
		Reported: p.reporter.Nudge, Publish: events.Publish, Record: journal.Record, Log: cfg.Log,
	})
	return err
}

// newKills makes what counts the kernel's kills; nil where no groups of
// processes with a limit of memory are mounted.
func newKills(log *slog.Logger) aiops.Kills {
	kills, err := cgroup.NewKills("")
	if err != nil {
		log.Warn("processes that the kernel ends are not counted", "error", err)
		return nil
	}
	return kills
}

// exists tells whether what ended once can still end better.
func (p *parts) exists(ctx context.Context, s agent.Subject) (ok bool, err error) {
	switch s.Kind {
	case agent.SubjectCron:
		_, ok, err = p.store.CronJob(ctx, s.Name)
	case agent.SubjectPipeline:
		var all []agent.Pipeline
		all, err = p.store.Pipelines(ctx)
		ok = slices.ContainsFunc(all, func(one agent.Pipeline) bool { return one.Name == s.Name })
	case agent.SubjectService:
		_, ok, err = p.store.Service(ctx, s.Name)
	default:
		ok = true
	}
	return ok, err
}

func incidentLink(base string, id int64) string {
	if id == 0 {
		return base + "/incidents"
	}
	return base + "/incidents/" + strconv.FormatInt(id, 10)
}

// newExplainer makes what asks a language model; nil when none is configured.
func newExplainer(settings config.Explain) (aiops.Explainer, error) {
	if settings.URL == "" {
		return nil, nil
	}
	return llm.New(llm.Config{URL: settings.URL, Model: settings.Model, KeyFile: settings.KeyFile, HTTP: &http.Client{Timeout: sendTimeout}})
}

func newReporter(cfg Config, queue *store.Store, hub *api.Hub) (*aiops.Reporter, error) {
	client := &http.Client{Timeout: sendTimeout}
	chat, err := slack.New(slack.Config{HTTP: client, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	hook, err := webhook.New(webhook.Config{HTTP: client})
	if err != nil {
		return nil, err
	}
	post, err := mail.New(mail.Config{})
	if err != nil {
		return nil, err
	}
	return aiops.NewReporter(aiops.ReporterConfig{
		Store: queue, Draw: chart.PNG, Publish: hub.Publish, Log: cfg.Log,
		Senders: map[string]aiops.Sender{
			agent.ChannelSlackBot: chat, agent.ChannelSlackWebhook: chat, agent.ChannelWebhook: hook, agent.ChannelEmail: post,
		},
	})
}

// Metrics returns what the gateway counts, in the Prometheus text format.
func (g *gatewayClient) Metrics(ctx context.Context) ([]byte, error) { return g.get(ctx, "/metrics") }

// cronEnded tells the assistant how a run of a cron job ended.
func (p *parts) cronEnded(ctx context.Context, j agent.CronJob, r agent.CronRun) {
	if r.Status != agent.RunFailed && r.Status != agent.RunSucceeded {
		return
	}
	o := aiops.Outcome{
		Detector: aiops.CronFailed, Subject: agent.Subject{Kind: agent.SubjectCron, Name: j.Name}, Failed: r.Status == agent.RunFailed,
		Title:    fmt.Sprintf("the cron job %s failed", j.Name),
		Summary:  fmt.Sprintf("The run of the cron job %s for %s failed: %s.", j.Name, r.Slot.UTC().Format("2006-01-02 15:04 UTC"), r.Message),
		Evidence: []agent.Fact{{Name: "run", Value: strconv.FormatInt(r.ID, 10), Why: "hks cron logs " + strconv.FormatInt(r.ID, 10)}, {Name: "reason", Value: r.Message}},
	}
	if r.ExitCode != nil {
		o.Evidence = append(o.Evidence, agent.Fact{Name: "exit code", Value: strconv.Itoa(*r.ExitCode)})
	}
	p.assistant.Ended(ctx, o)
}

// runEnded tells it how a run of a pipeline ended. One whose release failed is
// told with the release.
func (p *parts) runEnded(ctx context.Context, r agent.Run, _ *agent.Run) {
	if r.Status != agent.RunFailed && r.Status != agent.RunSucceeded || r.Status == agent.RunFailed && r.Release > 0 {
		return
	}
	o := aiops.Outcome{
		Detector: aiops.RunFailed, Subject: agent.Subject{Kind: agent.SubjectPipeline, Name: r.Pipeline}, Failed: r.Status == agent.RunFailed,
		Title:    fmt.Sprintf("run %d of the pipeline %s failed", r.ID, r.Pipeline),
		Summary:  fmt.Sprintf("Run %d of the pipeline %s failed.", r.ID, r.Pipeline),
		Evidence: []agent.Fact{{Name: "commit", Value: r.Commit.SHA, Why: r.Commit.Message}, {Name: "branch", Value: r.Branch}},
	}
	if r.Failure != nil {
		o.Summary = fmt.Sprintf("Run %d of the pipeline %s failed: %s", r.ID, r.Pipeline, r.Failure.Message)
		o.Lines = r.Failure.Logs
	}
	p.assistant.Ended(ctx, o)
}

// backupEnded tells it how a backup, or the check of one, ended.
func (p *parts) backupEnded(ctx context.Context, job agent.ServiceJob) {
	if job.Kind != "backup" && job.Kind != "verify" {
		return
	}
	o := aiops.Outcome{
		Detector: aiops.BackupFailed, Subject: agent.Subject{Kind: agent.SubjectService, Name: job.Service}, Failed: job.Status == agent.RunFailed,
		Title:   fmt.Sprintf("the %s of %s failed", job.Kind, job.Service),
		Summary: fmt.Sprintf("The %s of the service %s failed.", job.Kind, job.Service),
	}
	if job.Failure != nil {
		o.Summary = fmt.Sprintf("The %s of the service %s failed: %s", job.Kind, job.Service, job.Failure.Message)
		o.Evidence, o.Lines = []agent.Fact{{Name: "reason", Value: job.Failure.Message, Why: job.Failure.Fix}}, job.Failure.Logs
	}
	p.assistant.Ended(ctx, o)
}
