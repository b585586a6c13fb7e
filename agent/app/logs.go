package app

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Bounds of what is read of logs.
const (
	defaultTail   = 200
	maxTail       = 10000
	maxLineBytes  = 16 << 10
	keptLines     = 200
	keptLineBytes = 1 << 10
	keptBytes     = 1 << 20
	logsTimeout   = 20 * time.Second // for what is there already
	lastTimeout   = 5 * time.Second
	reopenPause   = time.Second
)

// Logs yields the lines of an app's instances, merged by time. With Follow
// it goes on, with instances that come later too, until ctx ends.
func (m *Manager) Logs(ctx context.Context, app string, env agent.Environment, q agent.LogQuery) iter.Seq2[agent.LogLine, error] {
	return func(yield func(agent.LogLine, error) bool) {
		k, state, err := m.existing(ctx, app, env)
		if err != nil {
			yield(agent.LogLine{}, err)
			return
		}
		if _, ok := state.Newest.Spec.Component(q.Component); q.Component != "" && !ok {
			yield(agent.LogLine{}, noComponent(k, state.Newest.Spec, q.Component))
			return
		}
		w := m.current()
		if !w.ready() {
			yield(agent.LogLine{}, agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster has not answered yet, so there are no logs"))
			return
		}
		r := &logReader{m: m, key: k, watch: w, query: q, last: map[string]time.Time{}}
		lines, err := r.backlog(ctx, state)
		if err != nil && !q.Follow {
			yield(agent.LogLine{}, err)
			return
		}
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
		if q.Follow && !q.Previous {
			r.follow(ctx, yield)
		}
	}
}

// logReader reads the logs of one app for one caller.
type logReader struct {
	m     *Manager
	key   key
	watch *watch
	query agent.LogQuery
	last  map[string]time.Time // time of the last line yielded of each instance
}

// pods are the instances asked for.
func (r *logReader) pods() []*corev1.Pod {
	v := r.watch.view(r.key)
	if r.query.Component == "" {
		return v.pods()
	}
	return v.of(r.query.Component).pods
}

// backlog reads what is there, oldest first.
func (r *logReader) backlog(ctx context.Context, state store.AppState) ([]agent.LogLine, error) {
	ctx, cancel := context.WithTimeout(ctx, logsTimeout)
	defer cancel()
	var (
		all    []agent.LogLine
		failed error
	)
	for _, p := range r.pods() {
		status := containerStatus(p)
		if status == nil || (r.query.Previous && status.RestartCount == 0) {
			continue
		}
		lines, err := r.read(ctx, p.Name)
		if err != nil && !notStarted(err) {
			failed = kube.Explain("reading the log of "+p.Name, err)
			continue
		}
		all = append(all, lines...)
	}
	if len(all) == 0 && failed != nil {
		return nil, failed
	}
	if len(all) == 0 && (r.query.Previous || len(r.pods()) == 0) {
		return r.kept(ctx, state)
	}
	slices.SortStableFunc(all, func(a, b agent.LogLine) int { return a.Time.Compare(b.Time) })
	for _, line := range all {
		r.last[line.Instance] = line.Time
	}
	return all, nil
}

// kept returns the last lines of a failed release whose instances are gone.
func (r *logReader) kept(ctx context.Context, state store.AppState) ([]agent.LogLine, error) {
	if state.Newest.Status != agent.ReleaseFailed {
		return nil, nil
	}
	release, ok, err := r.m.cfg.Store.Release(ctx, r.key.app, r.key.env, state.Newest.Number)
	if err != nil || !ok || release.Failure == nil {
		return nil, err
	}
	var lines []agent.LogLine
	for _, text := range release.Failure.Logs {
		lines = append(lines, agent.LogLine{Time: release.FinishedAt, Instance: agent.ReleaseName(r.key.app, r.key.env, release.Number), Text: text})
	}
	return lines, nil
}

func (r *logReader) options() *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: containerName, Timestamps: true, Previous: r.query.Previous}
	tail := int64(min(cmp.Or(max(r.query.Tail, 0), defaultTail), maxTail))
	o.TailLines = &tail
	if r.query.Since > 0 {
		since := int64(math.Ceil(r.query.Since.Seconds()))
		o.SinceSeconds = &since
	}
	return o
}

func (r *logReader) read(ctx context.Context, pod string) ([]agent.LogLine, error) {
	stream, err := r.m.cfg.Cluster.Interface().CoreV1().Pods(r.watch.namespace).GetLogs(pod, r.options()).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	var lines []agent.LogLine
	err = eachLine(stream, func(text string) bool {
		lines = append(lines, parseLine(pod, text))
		return true
	})
	return lines, err
}

// follow yields lines as they come. One goroutine an instance reads; they end
// before follow does.
func (r *logReader) follow(ctx context.Context, yield func(agent.LogLine, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	changed, unsubscribe := r.m.signals.subscribe(r.key)
	defer unsubscribe()
	lines := make(chan agent.LogLine)
	open := map[string]bool{}
	for {
		for _, p := range r.pods() {
			if open[p.Name] || !hasRun(p) {
				continue
			}
			open[p.Name] = true
			readers.Go(func() { r.followPod(ctx, p.Name, r.last[p.Name], lines) })
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case line := <-lines:
			if !yield(line, nil) {
				return
			}
		}
	}
}

// hasRun tells whether there is a log to read.
func hasRun(p *corev1.Pod) bool {
	status := containerStatus(p)
	return status != nil && (status.State.Running != nil || status.State.Terminated != nil || status.LastTerminationState.Terminated != nil)
}

// followPod reads the log of one instance, through restarts of its container,
// until the instance is gone or ctx ends.
func (r *logReader) followPod(ctx context.Context, pod string, last time.Time, lines chan<- agent.LogLine) {
	options := r.options()
	options.Follow = true
	if !last.IsZero() {
		options.TailLines, options.SinceSeconds = nil, nil
	}
	for ctx.Err() == nil {
		if !last.IsZero() {
			since := metav1.NewTime(last) // whole seconds: what was seen is skipped below
			options.TailLines, options.SinceSeconds, options.SinceTime = nil, nil, &since
		}
		stream, err := r.m.cfg.Cluster.Interface().CoreV1().Pods(r.watch.namespace).GetLogs(pod, options).Stream(ctx)
		if err == nil {
			err = eachLine(stream, func(text string) bool {
				line := parseLine(pod, text)
				if !line.Time.IsZero() && !line.Time.After(last) {
					return true
				}
				select {
				case lines <- line:
					last = line.Time
					return true
				case <-ctx.Done():
					return false
				}
			})
			_ = stream.Close() // read to its end or given up
		}
		if apierrors.IsNotFound(err) {
			return
		}
		pause := time.NewTimer(reopenPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		if _, there, err := r.watch.pods.GetByKey(r.watch.namespace + "/" + pod); err != nil || !there {
			return
		}
	}
}

// lastLines reads the end of an instance's log, to be kept with a failure.
// Without one, or without an answer, there are none.
func (m *Manager) lastLines(ctx context.Context, namespace, pod string, previous bool) []string {
	ctx, cancel := context.WithTimeout(ctx, lastTimeout)
	defer cancel()
	tail, limit := int64(keptLines), int64(keptBytes)
	stream, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).
		GetLogs(pod, &corev1.PodLogOptions{Container: containerName, Previous: previous, TailLines: &tail, LimitBytes: &limit}).Stream(ctx)
	if err != nil {
		m.cfg.Log.Info("a failed instance has no log to keep", "pod", pod, "err", err)
		return nil
	}
	defer func() { _ = stream.Close() }()
	var lines []string
	err = eachLine(stream, func(text string) bool {
		lines = append(lines, cut(text, keptLineBytes))
		return len(lines) < keptLines
	})
	if err != nil {
		m.cfg.Log.Info("a failed instance's log was not read to its end", "pod", pod, "err", err)
	}
	return lines
}

// eachLine calls fn for each line, cut at a bound, until the end or until fn
// returns false.
func eachLine(stream io.Reader, fn func(text string) bool) error {
	in := bufio.NewReaderSize(stream, maxLineBytes)
	for {
		data, err := in.ReadSlice('\n')
		text := string(data)
		if errors.Is(err, bufio.ErrBufferFull) {
			text += "…"
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		}
		if text != "" && !fn(strings.ToValidUTF8(strings.TrimRight(text, "\r\n"), "\uFFFD")) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parseLine takes the API's timestamp off a line.
func parseLine(pod, text string) agent.LogLine {
	stamp, rest, ok := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return agent.LogLine{Instance: pod, Text: text}
	}
	if !ok {
		rest = ""
	}
	return agent.LogLine{Time: at, Instance: pod, Text: rest}
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// notStarted tells whether there is no log only because nothing ran yet.
func notStarted(err error) bool {
	return apierrors.IsNotFound(err) || (apierrors.IsBadRequest(err) &&
		(strings.Contains(err.Error(), "is waiting to start") || strings.Contains(err.Error(), "not found")))
}
