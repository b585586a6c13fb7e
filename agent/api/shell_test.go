package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"hks.dev/hks/agent"
)

// fakeShells has one instance. Its commands: cat, exit, size, and wait, which
// ends with the session; its one open port echoes.
type fakeShells struct {
	mu      sync.Mutex // guards query
	query   agent.InstanceQuery
	started chan struct{} // one element for each wait
	ended   chan error    // one for each that ended
}

func newFakeShells() *fakeShells {
	return &fakeShells{started: make(chan struct{}, 2*maxShells), ended: make(chan error, 2*maxShells)}
}

func (f *fakeShells) Find(_ context.Context, app string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.query = query
	if app != "web" {
		return agent.InstanceTarget{}, agent.Errorf(agent.CodeConflict, "hks app start "+app, "no instance of %s/%s is ready: the app is stopped", app, env)
	}
	target := agent.InstanceTarget{Instance: "web-1", Component: "app", Container: "app", Port: 8080}
	if query.Port != 0 {
		target.Port = query.Port
	}
	return target, nil
}

func (f *fakeShells) Exec(ctx context.Context, _ agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (int, error) {
	switch run.Command[0] {
	case "cat":
		_, err := io.Copy(streams.Stdout, streams.Stdin)
		return 0, err
	case "size":
		size := <-streams.Sizes
		_, err := fmt.Fprintf(streams.Stdout, "%dx%d to %dx%d", run.Size.Width, run.Size.Height, size.Width, size.Height)
		return 0, err
	case "wait":
		f.started <- struct{}{}
		<-ctx.Done()
		f.ended <- context.Cause(ctx)
		return 0, ctx.Err()
	case "exit":
		_, err := io.WriteString(streams.Stderr, "bye")
		return 7, err
	}
	return 0, agent.Errorf(agent.CodeNotFound, "name another", "the image can't run %q", run.Command[0])
}

func (f *fakeShells) Dial(_ context.Context, target agent.InstanceTarget) (agent.Tunnel, error) {
	r, w := io.Pipe()
	if target.Port != 8080 {
		_ = w.CloseWithError(agent.Errorf(agent.CodeConflict, "use another", "nothing listens on port %d", target.Port))
	}
	return loop{r, w}, nil
}

type loop struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (l loop) Write(p []byte) (int, error) { return l.w.Write(p) }
func (l loop) CloseWrite() error           { return l.w.Close() }
func (l loop) Close() error                { return errors.Join(l.PipeReader.Close(), l.w.Close()) }

// dial opens a session.
func (a *appliance) dial(path, cookie string, header ...string) (*websocket.Conn, *http.Response, error) {
	a.t.Helper()
	h := http.Header{"Cookie": {sessionCookie + "=" + cookie}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	client := a.client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	ctx, cancel := context.WithTimeout(a.t.Context(), 10*time.Second)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, "https://"+a.Addr().String()+path, &websocket.DialOptions{HTTPClient: client, HTTPHeader: h, Host: h.Get("Host")})
	if err == nil {
		a.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, answer, err
}

func (a *appliance) session(path, cookie string) *websocket.Conn {
	a.t.Helper()
	conn, answer, err := a.dial(path, cookie)
	if err != nil {
		a.t.Fatalf("%s: %v %v", path, err, answer)
	}
	return conn
}

func sendFrame(t *testing.T, conn *websocket.Conn, channel byte, payload string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageBinary, append([]byte{channel}, payload...)); err != nil {
		t.Fatal(err)
	}
}

// rest reads a session to its end: what each channel carried.
func rest(t *testing.T, conn *websocket.Conn) map[byte]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := map[byte]string{}
	for {
		_, frame, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return got
		}
		if err != nil {
			t.Fatalf("the session broke: %v after %q", err, got)
		}
		if len(frame) > agent.MaxFrame {
			t.Errorf("a frame of %d bytes", len(frame))
		}
		got[frame[0]] += string(frame[1:])
	}
}

const shellPath = "/api/apps/web/staging/exec?command="

func TestA23ExecPassesInputOutputAndExitCode(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	cat := a.session(shellPath+"cat&stdin=true", cookie)
	big := strings.Repeat("x", agent.MaxFrame-1)
	for range 4 {
		sendFrame(t, cat, agent.ChannelStdin, big)
	}
	sendFrame(t, cat, agent.ChannelStdin, "")
	if got := rest(t, cat); got[agent.ChannelStdout] != strings.Repeat(big, 4) || got[agent.ChannelExit] != "0" {
		t.Errorf("%d bytes came back, exit %s", len(got[agent.ChannelStdout]), got[agent.ChannelExit])
	}
	if got := rest(t, a.session(shellPath+"exit", cookie)); got[agent.ChannelStderr] != "bye" || got[agent.ChannelExit] != "7" {
		t.Errorf("got %v", got)
	}
	size := a.session(shellPath+"size&tty=true&width=80&height=24", cookie)
	sendFrame(t, size, agent.ChannelResize, `{"width":100,"height":30}`)
	if got := rest(t, size); got[agent.ChannelStdout] != "80x24 to 100x30" {
		t.Errorf("sizes: %v", got)
	}
	var body errorBody
	refused := rest(t, a.session(shellPath+"nonsense", cookie))[agent.ChannelError]
	if err := json.Unmarshal([]byte(refused), &body); err != nil || body.Error.Code != agent.CodeNotFound || body.Error.Fix == "" {
		t.Errorf("an unknown command: %s %v", refused, err)
	}
}

func TestA23SessionsAreRecordedWithoutArguments(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	rest(t, a.session(shellPath+"exit&command="+canary, cookie))
	for range 2 {
		conn := a.session("/api/apps/web/staging/port-forward", cookie)
		sendFrame(t, conn, agent.ChannelStdin, "")
		rest(t, conn)
	}
	activities, err := a.store.Activities(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, one := range activities {
		if one.Subject == "web/staging" {
			told = append(told, one.By+" "+one.Message)
		}
	}
	want := "owner opened a port-forward to port 8080 of web-1|owner opened a shell in web-1: exit"
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("recorded: %s, want %s", got, want)
	}
	if strings.Contains(a.log.String(), canary) {
		t.Error("an argument is in the log")
	}
}

func TestA23PortForwardCopiesBothWays(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	path := "/api/apps/web/staging/port-forward"
	conn := a.session(path, cookie)
	sendFrame(t, conn, agent.ChannelStdin, "ping")
	sendFrame(t, conn, agent.ChannelStdin, "")
	if got := rest(t, conn); got[agent.ChannelStdout] != "ping" {
		t.Errorf("got %v", got)
	}
	if got := rest(t, a.session(path+"?port=9", cookie)); !strings.Contains(got[agent.ChannelError], "nothing listens on port 9") {
		t.Errorf("a port nobody listens on: %v", got)
	}
	target := decodeAs[agent.InstanceTarget](t, a.want(http.StatusOK, request{path: path + "?component=app&instance=web-1", cookie: cookie}))
	if target.Instance != "web-1" || target.Port != 8080 || a.commands.query.Component != "app" || a.commands.query.Instance != "web-1" {
		t.Errorf("%+v, asked %+v", target, a.commands.query)
	}
}

func TestShellsAreRefused(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	for _, tt := range []struct {
		name   string
		path   string
		cookie string
		header []string
		status int
	}{
		{"no login", shellPath + "cat", newSecret(), nil, 401},
		{"a page of another site", shellPath + "cat", cookie, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"an old browser on another site", shellPath + "cat", cookie, []string{"Origin", "https://evil.example"}, 403},
		{"an app's page on this machine", shellPath + "cat", cookie, []string{"Origin", "https://web-staging.localhost", "Sec-Fetch-Site", "same-site"}, 403},
		{"a sandboxed page", shellPath + "cat", cookie, []string{"Origin", "null"}, 403},
		{"a port-forward for another site", "/api/apps/web/staging/port-forward", cookie, []string{"Origin", "https://evil.example"}, 403},
		{"a foreign name", shellPath + "cat", cookie, []string{"Host", "evil.example"}, 421},
		{"no command", "/api/apps/web/staging/exec", cookie, nil, 400},
		{"an app that is not ready", "/api/apps/asleep/staging/exec?command=cat", cookie, nil, 409},
		{"a bad component", shellPath + "cat&component=A_b", cookie, nil, 400},
		{"a bad instance", shellPath + "cat&instance=../x", cookie, nil, 400},
		{"a bad port", "/api/apps/web/staging/port-forward?port=70000", cookie, nil, 400},
		{"too long a command", shellPath + "cat&command=" + strings.Repeat("a", maxArgument), cookie, nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, answer, err := a.dial(tt.path, tt.cookie, tt.header...)
			if err == nil || answer == nil || answer.StatusCode != tt.status {
				t.Errorf("%v %v, want %d", err, answer, tt.status)
			}
		})
	}
	a.refuse(http.StatusUpgradeRequired, agent.CodeInvalid, request{path: shellPath + "cat", cookie: cookie})
	if conn, _, err := a.dial(shellPath+"exit", cookie, "Origin", "https://"+a.Addr().String(), "Sec-Fetch-Site", "same-origin"); err != nil {
		t.Errorf("our own screens: %v", err)
	} else if got := rest(t, conn); got[agent.ChannelExit] != "7" {
		t.Errorf("our own screens: %v", got)
	}
}

// ended waits for a session of `wait` to end, and returns what the client was
// told.
func (a *appliance) ended(conn *websocket.Conn) string {
	a.t.Helper()
	got := rest(a.t, conn)
	<-a.commands.ended
	return got[agent.ChannelError]
}

func (a *appliance) wait(cookie string) *websocket.Conn {
	a.t.Helper()
	conn := a.session(shellPath+"wait", cookie)
	<-a.commands.started
	return conn
}

func TestShellsEnd(t *testing.T) {
	a := newAppliance(t)
	a.sessionBeat, a.sessionQuiet = 20*time.Millisecond, time.Hour
	a.start()
	cookie := a.setUp()

	left := a.wait(cookie)
	_ = left.CloseNow()
	if cause := <-a.commands.ended; !errors.Is(cause, errLeft) {
		t.Errorf("the client left: %v", cause)
	}
	odd := a.wait(cookie)
	if err := odd.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := a.ended(odd); !strings.Contains(got, "frames are binary") {
		t.Errorf("a frame of text: %s", got)
	}
	out := a.wait(cookie)
	a.want(http.StatusNoContent, request{method: "POST", path: "/api/logout", cookie: cookie})
	if got := a.ended(out); !strings.Contains(got, "no longer good") {
		t.Errorf("after a logout: %s", got)
	}
	cookie = cookieOf(t, a.login(request{}))
	last := a.wait(cookie)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(context.WithoutCancel(t.Context())) }()
	if got := a.ended(last); !strings.Contains(got, "the agent is stopping") {
		t.Errorf("at a stop: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if len(a.shells) != 0 {
		t.Errorf("%d places are still taken", len(a.shells))
	}
}

func TestQuietShellsEnd(t *testing.T) {
	a := newAppliance(t)
	a.sessionBeat, a.sessionQuiet = 10*time.Millisecond, 30*time.Millisecond
	a.start()
	if got := a.ended(a.wait(a.setUp())); !strings.Contains(got, "nothing moved") {
		t.Errorf("got %s", got)
	}
}

func TestShellsAreLimited(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	for range maxShells {
		a.wait(cookie)
	}
	_, answer, err := a.dial(shellPath+"cat", cookie)
	if err == nil || answer == nil || answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more: %v %v", err, answer)
	}
}

func TestToldOnce(t *testing.T) {
	clock := newClock()
	told := newTold(clock.now)
	if !told.first("a") || told.first("a") || !told.first("b") {
		t.Error("not told once")
	}
	clock.forward(tellAgain)
	if !told.first("a") || len(told.last) != 1 {
		t.Errorf("not told again, or %d remembered", len(told.last))
	}
}
