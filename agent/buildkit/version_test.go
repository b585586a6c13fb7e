package buildkit

import (
	"os"
	"regexp"
	"testing"
)

// The daemon is built by a module of its own; it and the client that is linked
// here belong together.
func TestDaemonAndClientAreOfOneVersion(t *testing.T) {
	pin := regexp.MustCompile(`(?m)github\.com/moby/buildkit (v\S+)`)
	var versions []string
	for _, file := range []string{"../../go.mod", "../../packaging/buildkitd/go.mod"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		match := pin.FindSubmatch(text)
		if match == nil {
			t.Fatalf("%s does not require BuildKit", file)
		}
		versions = append(versions, string(match[1]))
	}
	if versions[0] != versions[1] {
		t.Errorf("the client is %s, the daemon %s", versions[0], versions[1])
	}
}
