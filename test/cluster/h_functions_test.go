package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// functionFolder writes a function's folder.
func functionFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(folder, name), text)
	}
	return folder
}

// deployed deploys a function and returns it; it is deleted at the end.
func deployed(t *testing.T, name string, files map[string]string) agent.Function {
	t.Helper()
	deleteFunction(t, name)
	begin := time.Now()
	hks(t, "function", "deploy", functionFolder(t, files))
	t.Logf("%s serves after %s", name, time.Since(begin).Round(time.Millisecond))
	return ask[agent.Function](t, "function", "show", name)
}

// deleteFunction deletes a function at the end of the test.
func deleteFunction(t *testing.T, name string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "function", "delete", name, "--yes").CombinedOutput(); err != nil {
			t.Errorf("deleting %s: %v\n%s", name, err, out)
		}
	})
}

// callFunction calls through the gateway, with the key.
func callFunction(t *testing.T, client *http.Client, f agent.Function, path string) (int, string, string, time.Duration) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Hks-Key", f.Key)
	begin := time.Now()
	response, err := client.Do(request)
	if err != nil {
		t.Errorf("calling %s: %v", f.Name, err)
		return 0, "", "", 0
	}
	defer func() { _ = response.Body.Close() }()
	body := new(strings.Builder)
	buffer := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buffer)
		body.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	return response.StatusCode, body.String(), response.Header.Get("X-Hks-Start"), time.Since(begin)
}

const nodeFunction = "name: fn-node\nruntime: nodejs\nentry: hello\nconcurrency: 10\nmaxInstances: 4\nidle: 5\ntimeout: 3\n"

func TestA50FunctionsInNodeJS(t *testing.T) {
	client := browser(t)
	f := deployed(t, "fn-node", map[string]string{
		"function.yaml": nodeFunction,
		"index.js": `exports.hello = (request, response) => {
  if (request.query.loop) for (;;);
  setTimeout(() => response.send('one ' + (process.env.GREETING || '')), Number(request.query.wait || 0));
};`,
	})
	if status, _, _, _ := callFunction(t, client, agent.Function{Name: f.Name, URL: f.URL}, "/"); status != http.StatusUnauthorized {
		t.Errorf("without its key a private function answers %d", status)
	}
	status, body, start, took := callFunction(t, client, f, "/")
	if status != http.StatusOK || !strings.HasPrefix(body, "one") {
		t.Fatalf("answers %d %q", status, body)
	}
	t.Logf("first call: %s in %s", start, took)

	t.Run("a restart of the agent fails no warm call", func(t *testing.T) {
		var calls sync.WaitGroup
		stop := make(chan struct{})
		made := 0
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, body, _, _ := callFunction(t, client, f, "/?wait=20"); status != http.StatusOK {
					t.Errorf("a call meanwhile is answered with %d %q", status, body)
				}
				made++
			}
		})
		kill(t, "agent")
		up(t)
		close(stop)
		calls.Wait()
		eventually(t, 20*time.Second, func() string {
			if n := ask[agent.Function](t, "function", "show", "fn-node").Instances; n != 1 {
				return fmt.Sprintf("%d instances are taken up", n)
			}
			return ""
		})
		if _, _, start, _ := callFunction(t, client, f, "/"); start != "warm" || made == 0 {
			t.Errorf("%d calls meanwhile; the next one is %s", made, start)
		}
	})
	t.Run("A52 a syntax error keeps the old version", func(t *testing.T) {
		r := try(t, "function", "deploy", functionFolder(t, map[string]string{"function.yaml": nodeFunction, "index.js": "exports.hello = (;\n"}))
		if r.exit == 0 || !strings.Contains(r.stdout+r.stderr, "SyntaxError") {
			t.Errorf("exit %d: %s%s", r.exit, r.stdout, r.stderr)
		}
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusOK || !strings.HasPrefix(body, "one") {
			t.Errorf("the version before answers %d %q", status, body)
		}
	})
	t.Run("A51 a cron job calls it", func(t *testing.T) {
		if r := try(t, "cron", "create", "calls", "--schedule", "0 9 * * *", "--function", "nobody"); r.exit != 1 || !strings.Contains(r.stderr, "nobody") {
			t.Errorf("a function that is not there: exit %d %s", r.exit, r.stderr)
		}
		dropCron(t, "calls")
		hks(t, "cron", "create", "calls", "--schedule", "0 9 * * *", "--tz", "Europe/Vienna", "--function", "fn-node")
		if out := hks(t, "cron", "run", "calls"); !strings.HasPrefix(out, "one") {
			t.Errorf("the run printed %q", out)
		}
	})
	t.Run("A57 past its timeout it is stopped", func(t *testing.T) {
		if status, body, _, _ := callFunction(t, client, f, "/?loop=1"); status != http.StatusGatewayTimeout {
			t.Errorf("an endless loop answers %d %q", status, body)
		}
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusOK {
			t.Errorf("afterwards it answers %d %q", status, body)
		}
	})
	t.Run("A59 idle it holds no pod", func(t *testing.T) {
		eventually(t, time.Minute, func() string {
			if n := ask[agent.Function](t, "function", "show", "fn-node").Instances; n > 0 {
				return "it has instances"
			}
			return ""
		})
		status, body, start, took := callFunction(t, client, f, "/")
		if status != http.StatusOK || start != "cold" {
			t.Errorf("answers %d %q, %s", status, body, start)
		}
		t.Logf("cold: %s", took)
	})
	t.Run("A62 twenty at once", func(t *testing.T) {
		hks(t, "function", "env", "set", "fn-node", "GREETING=hi") // another environment: all instances are new
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				if status, body, _, _ := callFunction(t, client, f, "/?wait=300"); status != http.StatusOK || body != "one hi" {
					t.Errorf("answers %d %q", status, body)
				}
			})
		}
		calls.Wait()
		if n := ask[agent.Function](t, "function", "show", "fn-node").Instances; n > 2 {
			t.Errorf("%d instances for 20 calls of which 10 fit in each", n)
		}
	})
	t.Run("A53 a missing variable is named", func(t *testing.T) {
		hks(t, "function", "deploy", functionFolder(t, map[string]string{
			"function.yaml": nodeFunction + "requires: [SMTP_URL]\n", "index.js": `exports.hello = (request, response) => response.send('two ' + process.env.SMTP_URL);`,
		}))
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusInternalServerError || !strings.Contains(body, "SMTP_URL") {
			t.Errorf("without the variable it answers %d %q", status, body)
		}
		hks(t, "function", "env", "set", "fn-node", "SMTP_URL=smtp://here")
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusOK || body != "two smtp://here" {
			t.Errorf("with the variable it answers %d %q", status, body)
		}
	})
	t.Run("A60 rollback", func(t *testing.T) {
		hks(t, "function", "rollback", "fn-node")
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusOK || body != "one hi" {
			t.Errorf("after the rollback it answers %d %q", status, body)
		}
	})
}

func TestA61FunctionsInPythonAndGo(t *testing.T) {
	client := browser(t)
	t.Run("python", func(t *testing.T) {
		f := deployed(t, "fn-python", map[string]string{
			"function.yaml": "name: fn-python\nruntime: python\nentry: hello\n",
			"main.py":       "def hello(request):\n    return 'python ' + request.args.get('name', '')\n",
		})
		if status, body, _, _ := callFunction(t, client, f, "/?name=ada"); status != http.StatusOK || body != "python ada" {
			t.Errorf("answers %d %q", status, body)
		}
	})
	t.Run("python cloudevent", func(t *testing.T) {
		deployed(t, "fn-event", map[string]string{
			"function.yaml": "name: fn-event\nruntime: python\nentry: seen\nsignature: cloudevent\n",
			"main.py":       "import functions_framework\n\n@functions_framework.cloud_event\ndef seen(event):\n    assert event['type'] == 'com.example.seen', event\n    print('saw', event.data['file'], flush=True)\n",
		})
		hks(t, "function", "invoke", "fn-event", "--event", "com.example.seen", "--data", `{"file":"a.png"}`)
		if out := hks(t, "function", "logs", "fn-event"); !strings.Contains(out, "saw a.png") {
			t.Errorf("the log: %s", out)
		}
		hks(t, "function", "invoke", "fn-event", "--async", "--event", "com.example.seen", "--data", `{"file":"b.png"}`)
		eventually(t, time.Minute, func() string {
			if out := hks(t, "function", "logs", "fn-event"); !strings.Contains(out, "saw b.png") {
				return out
			}
			return ""
		})
	})
	t.Run("go", func(t *testing.T) {
		f := deployed(t, "fn-go", map[string]string{
			"function.yaml": "name: fn-go\nruntime: go\nentry: hello\n",
			"go.mod":        "module example.com/hello\n\ngo 1.26\n",
			"hello.go": `package hello

import (
	"fmt"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() {
	functions.HTTP("hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "go") })
}
`,
		})
		if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusOK || body != "go" {
			t.Errorf("answers %d %q", status, body)
		}
	})
}
