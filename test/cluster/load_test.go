package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a bounded load on one URL over loopback: four clients, each with a
// request every 5 ms at most, until stop or two minutes.
type load struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex // guards sent and failed
	sent   int
	failed []string
}

func startLoad(t *testing.T, url string) *load {
	t.Helper()
	return startLoadOf(t, url, samplePage)
}

// startLoadOf begins a load whose answers must hold a text.
func startLoadOf(t *testing.T, url, want string) *load {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	l := &load{cancel: cancel}
	client := browser(t)
	for range 4 {
		l.wait.Go(func() { l.run(ctx, client, url, want) })
	}
	return l
}

// drip is a light load for as long as the test runs, whose answers nobody
// looks at: a request every 40 ms, whether the one before was answered or not.
func drip(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := browser(t)
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		room := make(chan struct{}, 100) // for requests under way
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case room <- struct{}{}:
				wait.Go(func() {
					_ = fetchOf(ctx, client, url, "")
					<-room
				})
			default:
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
}

func (l *load) run(ctx context.Context, client *http.Client, url, want string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A request begun is brought to its end, so that a stop fails none.
		err := fetchOf(context.WithoutCancel(ctx), client, url, want)
		l.mu.Lock()
		l.sent++
		if err != nil {
			l.failed = append(l.failed, err.Error())
		}
		l.mu.Unlock()
	}
}

// samplePage is what the sample's page begins with.
const samplePage = "<h1>version"

// fetch wants the sample's page.
func fetch(ctx context.Context, client *http.Client, url string) error {
	return fetchOf(ctx, client, url, samplePage)
}

// fetchOf wants a page that holds a text.
func fetchOf(ctx context.Context, client *http.Client, url, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		return fmt.Errorf("%s: %.80s", response.Status, body)
	}
	return nil
}

// stop ends the load and tells how many requests were sent and which failed.
func (l *load) stop() (sent int, failed []string) {
	l.cancel()
	l.wait.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent, l.failed
}

// running is a command that goes on while the test does other things.
type running struct {
	lines <-chan string
}

// start runs the hks command; it ends with the test.
func start(t *testing.T, args ...string) running {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(appliance.bin, "hks"), args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			default: // nobody waits for that many
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return running{lines: lines}
}

// until waits for a line that holds text.
func (r running) until(t *testing.T, text string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case line := <-r.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-deadline.C:
			t.Fatalf("no line with %q", text)
		}
	}
}
