package api

import (
	"context"
	"io"
	"strings"

	"hks.dev/hks/agent"
)

// fakeFunctions has one function, for the routes' authorisation.
type fakeFunctions struct{}

func (fakeFunctions) List(context.Context) ([]agent.Function, error) {
	return []agent.Function{{Name: "hello"}}, nil
}
func (fakeFunctions) Get(_ context.Context, name string) (agent.Function, error) {
	return agent.Function{Name: name}, nil
}
func (fakeFunctions) Deploy(_ context.Context, d agent.FunctionDeploy, by string) (agent.FunctionVersion, error) {
	return agent.FunctionVersion{Function: d.Spec.Name, Number: 1, By: by}, nil
}
func (fakeFunctions) Versions(context.Context, string) ([]agent.FunctionVersion, error) {
	return nil, nil
}
func (fakeFunctions) Source(context.Context, string, int) (agent.FunctionDeploy, error) {
	return agent.FunctionDeploy{}, nil
}
func (fakeFunctions) Rollback(_ context.Context, name string, number int, _ string) (agent.FunctionVersion, error) {
	return agent.FunctionVersion{Function: name, Number: number}, nil
}
func (fakeFunctions) SetEnv(_ context.Context, name string, _ map[string]string, _ []string, _ string) (agent.Function, error) {
	return agent.Function{Name: name}, nil
}
func (fakeFunctions) Delete(context.Context, string, string) error { return nil }
func (fakeFunctions) Invoke(context.Context, string, agent.FunctionCall) (agent.FunctionAnswer, error) {
	return agent.FunctionAnswer{Status: 200}, nil
}
func (fakeFunctions) InvokeAsync(_ context.Context, name string, _ agent.FunctionCall) (agent.FunctionLetter, error) {
	return agent.FunctionLetter{ID: 1, Function: name}, nil
}
func (fakeFunctions) Letters(context.Context, string) ([]agent.FunctionLetter, error) {
	return nil, nil
}
func (fakeFunctions) Redrive(context.Context, string) (int64, error) { return 0, nil }
func (fakeFunctions) Logs(context.Context, string, bool) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("a line\n")), nil
}

func (fakeFunctions) Emit(_ context.Context, e agent.FunctionEvent) (agent.FunctionEventSent, error) {
	return agent.FunctionEventSent{ID: e.ID, Functions: []string{}}, nil
}
