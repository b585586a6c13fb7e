package app

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// leastHidden is the length in bytes from which on a value is taken out of
// what is kept of a failure: shorter ones stand in any text by chance.
const leastHidden = 6

// hideValues takes values of the environment out of a failure. An app that
// can't start often prints what it was given, and a failure is kept and shown.
func hideValues(failure *agent.Failure, env map[string]string) {
	var values []string
	for value := range maps.Values(env) {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= leastHidden {
				values = append(values, line)
			}
		}
	}
	if len(values) == 0 {
		return
	}
	// The longest first, so that one that is part of another leaves no rest.
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	var pairs []string
	for _, value := range slices.Compact(values) {
		pairs = append(pairs, value, agent.HiddenValue)
	}
	hide := strings.NewReplacer(pairs...)
	failure.Message = hide.Replace(failure.Message)
	for i, line := range failure.Logs {
		failure.Logs[i] = hide.Replace(line)
	}
}
