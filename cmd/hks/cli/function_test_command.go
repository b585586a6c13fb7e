package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

// Versions of the Functions Framework that a local run fetches.
const (
	nodeFramework   = "@google-cloud/functions-framework@5"
	pythonFramework = "functions-framework>=3.8,<4"
	goFramework     = "github.com/GoogleCloudPlatform/functions-framework-go@v1.9.2"
)

// Deadlines of a local run, of which the function's own timeout is another.
const (
	fetchWithin  = 5 * time.Minute
	listenWithin = time.Minute
)

// localRun is a function that runs on the user's machine.
type localRun struct {
	session *session
	spec    agent.FunctionSpec
	folder  string // a copy of the function's, with what it needs
	env     []string
	port    int
}

func newFunctionTestCommand(s *session) *cobra.Command {
	var (
		data, event, path, envFile string
		env                        []string
	)
	cmd := &cobra.Command{
		Use:   "test [FOLDER]",
		Short: "Run the function of a folder on this machine and call it once",
		Long: `Run the function of a folder on this machine, with the Functions Framework of its
language, and call it once. It needs node and npm, python3 or go, and a way to their
registries, but no appliance. Nothing is left in the folder.`,
		Example: `  hks function test
  hks function test ./hello --path '/?name=Ada'
  hks function test --env-file .env --event com.example.uploaded --data '{"file":"a.png"}'`,
		Args: takes("[FOLDER]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			d, err := readFunction(folder)
			if err != nil {
				return err
			}
			if d.Spec.Timeout == 0 {
				d.Spec.Timeout = 30
			}
			if envFile != "" {
				lines, err := readEnvFile(envFile)
				if err != nil {
					return err
				}
				env = append(lines, env...)
			}
			if missing := lacking(d.Spec.Requires, env); len(missing) > 0 {
				return usagef("give it with --env "+missing[0]+"=VALUE, or --env-file", "the function requires %s, which is not set", strings.Join(missing, " and "))
			}
			work, err := os.MkdirTemp("", "hks-function-")
			if err != nil {
				return fmt.Errorf("making a folder: %w", err)
			}
			defer func() { _ = os.RemoveAll(work) }() // the system's temporary folder is swept in any case
			for name, content := range d.Files {
				file := filepath.Join(work, filepath.FromSlash(name))
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o600)); err != nil {
					return fmt.Errorf("copying the function: %w", err)
				}
			}
			run := &localRun{session: s, spec: d.Spec, folder: work, env: env}
			answer, err := run.call(cmd.Context(), path, event, []byte(data))
			if err != nil {
				return err
			}
			return s.showLocal(d.Spec.Name, answer)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&data, "data", "d", "", "the payload")
	f.StringVar(&event, "event", "", "send it as a CloudEvent of this type")
	f.StringVar(&path, "path", "/", "path and query of the call")
	f.StringArrayVar(&env, "env", nil, "NAME=VALUE, as often as needed")
	f.StringVar(&envFile, "env-file", "", "file of lines NAME=VALUE")
	return cmd
}

func (s *session) showLocal(name string, a agent.FunctionAnswer) error {
	if s.json {
		if err := s.screen.printJSON(a); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(s.screen.out, strings.TrimSuffix(string(a.Body), "\n")); err != nil {
		return err
	}
	if a.Status >= 400 {
		return agent.Errorf(agent.CodeFunctionFailed, "what it wrote is above", "%s answered with status %d", name, a.Status)
	}
	return nil
}

func readEnvFile(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("name a file of lines NAME=VALUE", "reading the variables: %w", err)
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list, nil
}

// lacking are the names that no NAME=VALUE sets.
func lacking(names, env []string) []string {
	set := map[string]bool{}
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		set[name] = true
	}
	var missing []string
	for _, name := range names {
		if !set[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// call fetches what the function needs, starts it, calls it and ends it.
func (r *localRun) call(ctx context.Context, path, event string, data []byte) (a agent.FunctionAnswer, err error) {
	r.session.screen.note("fetching what it needs")
	argv, err := r.prepare(ctx)
	if err != nil {
		return a, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return a, fmt.Errorf("looking for a free port: %w", err)
	}
	r.port = listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return a, fmt.Errorf("looking for a free port: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := r.command(running, argv...)
	if err := cmd.Start(); err != nil {
		return a, fmt.Errorf("starting the function: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its state says how it ended
	}()
	defer func() {
		stop()
		<-exited
	}()
	if err := r.listens(ctx, exited, cmd); err != nil {
		return a, err
	}
	return r.ask(ctx, path, event, data)
}

func (r *localRun) command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.folder, r.session.screen.err, r.session.screen.err
	cmd.WaitDelay = 2 * time.Second
	signature := r.spec.Signature
	if signature == "" {
		signature = "http"
	}
	cmd.Env = append(os.Environ(), r.env...)
	cmd.Env = append(cmd.Env, "PORT="+strconv.Itoa(r.port), "FUNCTION_TARGET="+r.spec.Entry, "FUNCTION_SIGNATURE_TYPE="+signature)
	if r.spec.Source != "" {
		cmd.Env = append(cmd.Env, "FUNCTION_SOURCE="+r.spec.Source)
	}
	return cmd
}

// prepare fetches framework and dependencies, and returns what starts the function.
func (r *localRun) prepare(ctx context.Context) (argv []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	in := func(name string) string { return filepath.Join(r.folder, name) }
	has := func(name string) bool { _, err := os.Stat(in(name)); return err == nil }
	var steps [][]string
	switch r.spec.Runtime {
	case "nodejs":
		steps = [][]string{{"npm", "install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--no-save", nodeFramework}}
		argv = []string{"node", in("node_modules/@google-cloud/functions-framework/build/src/main.js")}
	case "python":
		python := in(".hks-venv/bin/python")
		install := []string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pythonFramework}
		if has("requirements.txt") {
			install = append(install, "--requirement", "requirements.txt")
		}
		steps = [][]string{{"python3", "-m", "venv", ".hks-venv"}, install}
		argv = []string{python, "-m", "functions_framework", "--host", "127.0.0.1"}
	case "go":
		module, err := os.ReadFile(in("go.mod"))
		if err != nil {
			return nil, usagef("make one: go mod init example.com/"+r.spec.Name, "a function in Go needs a go.mod")
		}
		main, err := manifest.GoMain(module)
		if err != nil {
			return nil, asUsage(err)
		}
		if err := errors.Join(os.MkdirAll(in(filepath.Dir(manifest.GoMainFile)), 0o755), os.WriteFile(in(manifest.GoMainFile), main, 0o600)); err != nil {
			return nil, fmt.Errorf("writing its main: %w", err)
		}
		steps = [][]string{{"go", "get", goFramework}, {"go", "build", "-mod=mod", "-o", "hks-function", "./" + filepath.Dir(manifest.GoMainFile)}}
		argv = []string{in("hks-function")}
	default:
		return nil, usagef("choose nodejs, python or go", "the runtime %q is not known", r.spec.Runtime)
	}
	for _, step := range steps {
		if _, err := exec.LookPath(step[0]); err != nil {
			return nil, agent.Errorf(agent.CodeInvalid, "install it, or deploy: the appliance tries each version before it serves: hks function deploy", "a local run of a %s function needs %s", r.spec.Runtime, step[0])
		}
		if err := r.command(ctx, step...).Run(); err != nil {
			return nil, agent.Errorf(agent.CodeFunctionFailed, "what it wrote is above", "%s failed: %v", strings.Join(step[:min(3, len(step))], " "), err)
		}
	}
	return argv, nil
}

// listens waits until the function takes connections.
func (r *localRun) listens(ctx context.Context, exited <-chan struct{}, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, listenWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return agent.Errorf(agent.CodeFunctionFailed, "what it wrote is above", "%s ended at its start: %s", r.spec.Name, cmd.ProcessState)
		case <-ctx.Done():
			return agent.Errorf(agent.CodeFunctionFailed, "what it wrote is above", "%s did not listen within %s", r.spec.Name, listenWithin)
		case <-tick.C:
		}
	}
}

func (r *localRun) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// ask makes the call.
func (r *localRun) ask(ctx context.Context, path, event string, data []byte) (a agent.FunctionAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.spec.Timeout)*time.Second)
	defer cancel()
	method := http.MethodGet
	if len(data) > 0 || event != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.address()+"/"+strings.TrimPrefix(path, "/"), bytes.NewReader(data))
	if err != nil {
		return a, usagef("write it as --path '/?name=Ada'", "%q is no path: %w", path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if event != "" {
		for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Type": event, "Ce-Source": "hks/cli", "Ce-Id": strconv.FormatInt(r.session.now().UnixNano(), 36)} {
			request.Header.Set(name, value)
		}
	}
	begin := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, agent.Errorf(agent.CodeFunctionFailed, "what it wrote is above; timeout in function.yaml says how long it may take", "%s did not answer: %v", r.spec.Name, err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	a = agent.FunctionAnswer{Status: response.StatusCode, Headers: map[string]string{}, Cold: true}
	for name := range response.Header {
		a.Headers[name] = response.Header.Get(name)
	}
	a.Body, err = io.ReadAll(io.LimitReader(response.Body, agent.MaxFunctionPayload))
	a.Millis = float64(time.Since(begin).Microseconds()) / 1000
	return a, err
}
