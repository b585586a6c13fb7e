package double

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
)

// shells is api.Shells. Its instances know the commands cat, env and exit,
// and echo on port 8080 what they are sent.
type shells struct{ *world }

// echoPort is the one port that is listened on.
const echoPort = 8080

func (w shells) Find(_ context.Context, name string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := apps(w).find(name, env)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	component := cmp.Or(query.Component, a.serving().Spec.Main().Name)
	if _, ok := a.serving().Spec.Component(component); !ok {
		return agent.InstanceTarget{}, notFound("component " + component)
	}
	if a.ready[component] == 0 {
		return agent.InstanceTarget{}, agent.Errorf(agent.CodeConflict, "hks app start "+name,
			"no instance of %s is ready: the app is %s", keyOf(name, env), a.app.Status)
	}
	target := agent.InstanceTarget{Instance: a.instance(component, 0), Component: component, Container: "app", Port: query.Port}
	if target.Port == 0 {
		target.Port = echoPort
	}
	if query.Instance != "" && query.Instance != target.Instance {
		return target, notFound("instance " + query.Instance)
	}
	return target, nil
}

func (w shells) Exec(_ context.Context, target agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (int, error) {
	switch run.Command[0] {
	case "cat":
		if run.Stdin {
			_, err := io.Copy(streams.Stdout, streams.Stdin)
			return 0, err
		}
		return 0, nil
	case "env":
		_, err := fmt.Fprintf(streams.Stdout, "HOSTNAME=%s\nTTY=%t\nSTDIN=%t\n", target.Instance, run.TTY, run.Stdin)
		return 0, err
	case "exit":
		code, err := strconv.Atoi(strings.Join(run.Command[1:], ""))
		if err == nil {
			_, err = fmt.Fprintln(streams.Stderr, "leaving with", code)
		}
		return code, err
	}
	return 0, agent.Errorf(agent.CodeNotFound, "name a program that is in the image", "the image of %s can't run %q", target.Instance, run.Command[0])
}

func (w shells) Dial(_ context.Context, target agent.InstanceTarget) (agent.Tunnel, error) {
	r, out := io.Pipe()
	if target.Port != echoPort {
		_ = out.CloseWithError(agent.Errorf(agent.CodeConflict, "use another port", "nothing listens on port %d of %s", target.Port, target.Instance))
	}
	return echo{r, out}, nil
}

// echo is a connection to something that sends back what it is sent.
type echo struct {
	*io.PipeReader
	out *io.PipeWriter
}

func (e echo) Write(p []byte) (int, error) { return e.out.Write(p) }

func (e echo) CloseWrite() error { return e.out.Close() }

func (e echo) Close() error { return errors.Join(e.PipeReader.Close(), e.out.Close()) }
