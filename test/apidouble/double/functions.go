package double

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// functions are made up: a version is ready after a second, unless its source
// holds the words "syntax error", and a call is answered with its request.
type functions struct {
	speed float64

	mu   sync.Mutex // guards what follows
	byID map[string]*oneFunction
}

type oneFunction struct {
	function agent.Function
	versions []agent.FunctionVersion
	sources  []agent.FunctionDeploy
	calls    int
}

func (f *functions) find(name string) (*oneFunction, error) {
	if one, ok := f.byID[name]; ok {
		return one, nil
	}
	return nil, agent.Errorf(agent.CodeNotFound, "list them with: hks function list", "there is no function %q", name)
}

func (f *functions) List(context.Context) ([]agent.Function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []agent.Function{}
	for _, one := range f.byID {
		list = append(list, one.function)
	}
	slices.SortFunc(list, func(a, b agent.Function) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (f *functions) Get(_ context.Context, name string) (agent.Function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, err := f.find(name)
	if err != nil {
		return agent.Function{}, err
	}
	return one.function, nil
}

func (f *functions) Deploy(_ context.Context, d agent.FunctionDeploy, by string) (agent.FunctionVersion, error) {
	if err := agent.ValidateName("function", d.Spec.Name); err != nil {
		return agent.FunctionVersion{}, err
	}
	d.Spec.Memory, d.Spec.Timeout = 128, 30
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.byID[d.Spec.Name]
	if one == nil {
		one = &oneFunction{function: agent.Function{Name: d.Spec.Name, URL: "https://" + d.Spec.Name + ".fn.localhost", Variables: []string{}, CreatedAt: time.Now()}}
		f.byID[d.Spec.Name] = one
	}
	one.function.Spec = d.Spec
	v := agent.FunctionVersion{Function: d.Spec.Name, Number: len(one.versions) + 1, Status: agent.FunctionBuilding, Spec: d.Spec, By: by, CreatedAt: time.Now()}
	one.versions, one.sources = append(one.versions, v), append(one.sources, d)
	time.AfterFunc(time.Duration(float64(time.Second)/f.speed), func() { f.end(one, v.Number, d) })
	return v, nil
}

func (f *functions) end(one *oneFunction, number int, d agent.FunctionDeploy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := &one.versions[number-1]
	for _, text := range d.Files {
		if bytes.Contains(text, []byte("syntax error")) {
			v.Status = agent.FunctionFailed
			v.Failure = &agent.Failure{Code: agent.CodeFunctionFailed, Message: "SyntaxError: Unexpected identifier 'error'", Fix: "mend it and deploy again", Logs: []string{"index.js:1", "syntax error", "       ^^^^^"}}
			return
		}
	}
	v.Status, one.function.Version = agent.FunctionReady, number
}

func (f *functions) Versions(_ context.Context, name string) ([]agent.FunctionVersion, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, err := f.find(name)
	if err != nil {
		return nil, err
	}
	newest := slices.Clone(one.versions)
	slices.Reverse(newest)
	return newest, nil
}

func (f *functions) Source(_ context.Context, name string, number int) (agent.FunctionDeploy, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, err := f.find(name)
	if err != nil || number > len(one.sources) {
		return agent.FunctionDeploy{}, err
	}
	return one.sources[number-1], nil
}

func (f *functions) Rollback(_ context.Context, name string, number int, _ string) (agent.FunctionVersion, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, err := f.find(name)
	if err != nil {
		return agent.FunctionVersion{}, err
	}
	one.function.Version = number
	return one.versions[number-1], nil
}

func (f *functions) SetEnv(ctx context.Context, name string, set map[string]string, unset []string, _ string) (agent.Function, error) {
	f.mu.Lock()
	if one := f.byID[name]; one != nil {
		names := slices.DeleteFunc(slices.Clone(one.function.Variables), func(v string) bool { return slices.Contains(unset, v) })
		for v := range set {
			if !slices.Contains(names, v) {
				names = append(names, v)
			}
		}
		slices.Sort(names)
		one.function.Variables = names
	}
	f.mu.Unlock()
	return f.Get(ctx, name)
}

func (f *functions) Delete(_ context.Context, name, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.find(name)
	delete(f.byID, name)
	return err
}

func (f *functions) Invoke(_ context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, err := f.find(name)
	if err != nil {
		return agent.FunctionAnswer{}, err
	}
	one.calls++
	return agent.FunctionAnswer{Status: 200, Body: fmt.Appendf(nil, "version %d got %s", one.function.Version, call.Payload), Cold: one.calls == 1, Millis: 12}, nil
}

func (f *functions) InvokeAsync(context.Context, string, agent.FunctionCall) (agent.FunctionLetter, error) {
	return agent.FunctionLetter{Status: "pending"}, nil
}

func (f *functions) Letters(context.Context, string) ([]agent.FunctionLetter, error) { return nil, nil }
func (f *functions) Redrive(context.Context, string) (int64, error)                  { return 0, nil }

func (f *functions) Logs(context.Context, string, bool) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

func (f *functions) Emit(_ context.Context, e agent.FunctionEvent) (agent.FunctionEventSent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := agent.FunctionEventSent{ID: e.ID, Functions: []string{}}
	for name, one := range f.byID {
		for _, t := range one.function.Spec.Triggers {
			if t.Event == e.Type {
				sent.Functions = append(sent.Functions, name)
			}
		}
	}
	return sent, nil
}
