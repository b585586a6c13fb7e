package buildkit

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	frontend "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"

	"hks.dev/hks/agent"
)

// How BuildKit words what it has no types for.
var (
	imagePattern = regexp.MustCompile(`failed to resolve source metadata for (\S+): (.*)`)
	pushPattern  = regexp.MustCompile(`failed to push (\S+): (.*)`)
	copyPattern  = regexp.MustCompile(`failed to calculate checksum of ref \S+: ("[^"]*"): not found`)
	parsePattern = regexp.MustCompile(`^(?:dockerfile|Dockerfile) parse error on line (\d+): (.*)`)
)

// lastLines is how many lines of a step's output an error holds.
const lastLines = 20

// killed is the exit code of a process that was ended by SIGKILL, as the
// kernel does to one that takes too much memory.
const killed = 137

// explain turns BuildKit's error into one for people.
func (c *Client) explain(err error, job Job, p *progress) error {
	words := p.clean([]byte(strings.TrimPrefix(rootWords(err), "failed to solve: ")))
	words = strings.ReplaceAll(words, c.cfg.Registry().Address+"/", agent.RegistryHost+"/") // as the recipe has it
	failed := p.failed(vertexOf(err))
	exit, hasExit := errors.AsType[*frontend.ExitError](err)
	image, push := imagePattern.FindStringSubmatch(words), pushPattern.FindStringSubmatch(words)
	switch {
	case full(words) || (hasExit && failed != nil && full(strings.Join(failed.lines, "\n"))):
		return &agent.Error{
			Code: agent.CodeNoSpace, Message: "the disk is full, so the build can't go on",
			Fix: "make room on the machine (see with: df -h), then build again", Details: details(failed, nil), Cause: err,
		}
	case hasExit:
		return c.exitError(err, exit, failed)
	case image != nil:
		return c.imageError(err, image[1], image[2], job.Carried)
	case push != nil && unreachable(push[2]):
		return awayRegistry(push[2], err)
	case away(err):
		return awayError("it ended while it was building", err)
	}
	return recipeError(err, words, failed)
}

// rootWords is the error's text, or that below gRPC's own words.
func rootWords(err error) string { return strings.TrimPrefix(err.Error(), "rpc error: ") }

// vertexOf returns the step that an error came from.
func vertexOf(err error) digest.Digest {
	if vertex, ok := errors.AsType[*errdefs.VertexError](err); ok {
		return digest.Digest(vertex.Digest)
	}
	return ""
}

// away tells whether the daemon itself is not there.
func away(err error) bool {
	return grpcerrors.Code(err) == codes.Unavailable || strings.Contains(err.Error(), "error reading from server: EOF")
}

func full(words string) bool {
	return strings.Contains(strings.ToLower(words), "no space left on device")
}

// unreachable tells a registry that can't be asked from one that says no.
func unreachable(words string) bool {
	for _, sign := range []string{
		"connection refused", "no such host", "i/o timeout", "network is unreachable", "no route to host", "connection reset",
		"TLS handshake timeout", "server misbehaving", "context deadline exceeded", "certificate signed by unknown authority", "failed to verify certificate",
	} {
		if strings.Contains(words, sign) {
			return true
		}
	}
	return false
}

// exitError is a step whose command failed.
func (c *Client) exitError(err error, exit *frontend.ExitError, failed *step) error {
	name, last := "a step", ""
	if failed != nil {
		name, last = failed.name, lastWords(failed.lines)
	}
	message := fmt.Sprintf("the step %s failed with exit code %d", name, exit.ExitCode)
	fix := "read the step's output, correct it, and build again"
	if exit.ExitCode == killed {
		message += fmt.Sprintf(": it was killed, most likely as it took more memory than builds may take (%d MiB)", c.cfg.Memory>>20)
		fix = "have the step take less memory, or raise build.memory in config.yaml"
	} else if last != "" {
		message += ": " + last
	}
	return &agent.Error{Code: agent.CodeBuildFailed, Message: message, Fix: fix, Details: details(failed, map[string]any{"exitCode": exit.ExitCode}), Cause: err}
}

// imageError is a base image that can't be had.
func (c *Client) imageError(err error, image, words string, carried []string) error {
	own := strings.HasPrefix(image, agent.RegistryHost+"/")
	if own && unreachable(words) {
		return awayRegistry(words, err)
	}
	shown := &agent.Error{
		Code:    agent.CodeBuildFailed,
		Message: fmt.Sprintf("the base image %s can't be had: %s", image, strings.TrimPrefix(words, image+": ")),
		Fix:     "check its name and tag in the Dockerfile",
		Details: map[string]any{"image": image},
		Cause:   err,
	}
	if (own || unreachable(words)) && len(carried) > 0 {
		shown.Fix = "use one of the base images that the appliance carries: " + strings.Join(carried, ", ")
		shown.Details["carried"] = carried
	} else if unreachable(words) {
		shown.Fix = "check this machine's way to the registry, and build again"
	}
	return shown
}

func awayRegistry(words string, err error) error {
	return &agent.Error{
		Code: agent.CodeBuilderAway, Message: "the appliance's registry does not answer: " + words,
		Fix: "see with: hks status, and build again", Cause: err,
	}
}

// recipeError is a mistake in the Dockerfile, or in what it asks for.
func recipeError(err error, words string, failed *step) error {
	facts := map[string]any{}
	where := ""
	if sources := errdefs.Sources(err); len(sources) > 0 {
		source := sources[len(sources)-1]
		for _, span := range source.Ranges {
			facts["line"] = int(span.Start.Line)
			where = fmt.Sprintf("%s line %d: ", cmp.Or(source.Info.GetFilename(), "Dockerfile"), span.Start.Line)
			break
		}
	}
	if parse := parsePattern.FindStringSubmatch(words); parse != nil {
		words = parse[2]
		if where == "" {
			where = "Dockerfile line " + parse[1] + ": "
		}
	}
	if missing := copyPattern.FindStringSubmatch(words); missing != nil {
		words = missing[1] + " is not in the source, or .dockerignore leaves it out"
	}
	message := "the build failed: " + where + words
	return &agent.Error{
		Code: agent.CodeBuildFailed, Message: message,
		Fix: "correct it and build again", Details: details(failed, facts), Cause: err,
	}
}

// details are facts for a machine: the step and its last lines, and more.
func details(failed *step, more map[string]any) map[string]any {
	all := map[string]any{}
	for key, value := range more {
		all[key] = value
	}
	if failed != nil {
		all["step"] = failed.name
		all["lines"] = failed.lines[max(0, len(failed.lines)-lastLines):]
	}
	return all
}

// lastWords is the last line that says something.
func lastWords(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if text := strings.TrimSpace(lines[i]); text != "" {
			return text
		}
	}
	return ""
}
