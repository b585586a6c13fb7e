package aiops

import (
	"context"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

// Parameters of reading logs: enough to see what is new, and a bound on what
// a talkative app can cost.
const (
	logsEach   = time.Minute
	logsBack   = 90 * time.Second // a little more than since the last look
	logsMost   = 300              // lines of an instance at a look
	logsWithin = 20 * time.Second
)

// readLogs gives the engine what apps have printed, each minute until ctx ends.
func (m *Manager) readLogs(ctx context.Context) {
	last := map[string]time.Time{} // of the newest line read, by instance
	tick := time.NewTicker(logsEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		apps, err := m.cfg.Apps.List(ctx)
		if err != nil {
			continue // the next look may do better
		}
		for _, a := range apps {
			if a.Ready > 0 && ctx.Err() == nil {
				m.readLog(ctx, a, last)
			}
		}
		for instance, at := range last {
			if m.cfg.Now().Sub(at) > time.Hour {
				delete(last, instance)
			}
		}
	}
}

func (m *Manager) readLog(ctx context.Context, a agent.App, last map[string]time.Time) {
	ctx, cancel := context.WithTimeout(ctx, logsWithin)
	defer cancel()
	subject := agent.Subject{Kind: agent.SubjectApp, Name: a.Name, Environment: a.Environment}
	var lines []agent.LogLine
	for line, err := range m.cfg.Apps.Logs(ctx, a.Name, a.Environment, agent.LogQuery{Since: logsBack, Tail: logsMost}) {
		if err != nil {
			break // what came so far counts
		}
		if line.Time.After(last[line.Instance]) {
			last[line.Instance] = line.Time
			lines = append(lines, line)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range lines {
		m.engine.Log(detect.LogLine{T: m.engineTime(line.Time), App: m.subject(subject), Pod: line.Instance, Line: line.Text})
	}
}
