package daemon

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/github"
	"hks.dev/hks/agent/pipeline"
)

// buildPipelines makes what turns pushes into releases.
func (p *parts) buildPipelines(cfg Config, hub *api.Hub, journal *api.Journal) (err error) {
	p.pipelines, err = pipeline.New(pipeline.Config{
		Store: p.store, Builds: p.builds, Releases: p.apps, Dir: cfg.Settings.Paths().State("checkouts"),
		Dial: func(url, token string) (pipeline.Host, error) {
			return github.New(github.Config{URL: url, Token: token})
		},
		Ended: func(ctx context.Context, r agent.Run, before *agent.Run) {
			p.runEnded(ctx, r, before)
			p.emit(ctx, cfg.Log, agent.FunctionEvent{
				ID: fmt.Sprintf("run-%d-%s", r.ID, r.Status), Type: agent.EventPipeline + string(r.Status), Source: "/hks/pipelines/" + r.Pipeline, Subject: r.Commit.SHA,
			}, r)
		},
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	return err
}
