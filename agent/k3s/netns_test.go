package k3s

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// enterNetwork runs the test again in a child that has network and mount
// namespaces of its own. It returns true in the child; false, with the child's
// verdict, in the parent, whose test is over then.
func enterNetwork(t *testing.T) bool {
	t.Helper()
	const mark = "HKS_TEST_NETWORK"
	if os.Getenv(mark) == "1" {
		run(t, "", "mount", "-t", "sysfs", "sysfs", "/sys")
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("in namespaces of its own:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}
