package app

import (
	"testing"

	"hks.dev/hks/agent"
)

func TestA21ValuesAreTakenOutOfFailures(t *testing.T) {
	failure := &agent.Failure{
		Message: "it ended; its last line: can't reach postgres://u:hunter22@db",
		Logs:    []string{"key is hunter22-and-more", "on", "second line of two"},
	}
	hideValues(failure, map[string]string{"URL": "postgres://u:hunter22@db", "PASSWORD": "hunter22", "KEY": "hunter22-and-more", "MODE": "on", "PEM": "first line\nsecond line\n"})
	if failure.Message != "it ended; its last line: can't reach "+agent.HiddenValue {
		t.Errorf("message: %s", failure.Message)
	}
	for i, want := range []string{"key is " + agent.HiddenValue, "on", agent.HiddenValue + " of two"} {
		if failure.Logs[i] != want {
			t.Errorf("line %d: %s, want %s", i, failure.Logs[i], want)
		}
	}
}
