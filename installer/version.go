package installer

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// releaseVersion is a tag, and how many commits it is behind: v1.2.3-14-gabcdef.
var releaseVersion = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-([0-9A-Za-z.]*[A-Za-z.][0-9A-Za-z.]*))??(?:-([0-9]+)-g[0-9a-f]+)?(?:-dirty)?$`)

// compareVersions says whether a is older (-1), the same (0) or newer (1) than
// b; known is false for versions that have no order, such as bare commits.
func compareVersions(a, b string) (order int, known bool) {
	if a == b {
		return 0, true
	}
	left, right := releaseVersion.FindStringSubmatch(a), releaseVersion.FindStringSubmatch(b)
	if left == nil || right == nil {
		return 0, false
	}
	for _, i := range []int{1, 2, 3} {
		if c := compareNumbers(left[i], right[i]); c != 0 {
			return c, true
		}
	}
	if left[4] != right[4] { // what comes before a release, such as rc.1
		switch {
		case left[4] == "":
			return 1, true
		case right[4] == "":
			return -1, true
		}
		return comparePre(left[4], right[4]), true
	}
	return compareNumbers(left[5], right[5]), true
}

// comparePre compares what comes before a release by its parts, as semver does.
func comparePre(a, b string) int {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(left), len(right)) {
		n, err1 := strconv.Atoi(left[i])
		m, err2 := strconv.Atoi(right[i])
		c := strings.Compare(left[i], right[i])
		if err1 == nil && err2 == nil {
			c = cmp.Compare(n, m)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(left), len(right))
}

func compareNumbers(a, b string) int {
	n, _ := strconv.Atoi(a) // the grammar has digits or nothing there
	m, _ := strconv.Atoi(b)
	return cmp.Compare(n, m)
}

// programVersion asks a program what it is.
func programVersion(ctx context.Context, program string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("the program %s does not run on this machine: %v", program, err),
			Fix:     "use a bundle made for this machine's kind of processor",
			Cause:   err,
		}
	}
	version := strings.TrimSpace(string(out))
	if !versionGrammar.MatchString(version) {
		return "", fmt.Errorf("%s calls its version %q, which can't name a folder", filepath.Base(program), version)
	}
	return version, nil
}
