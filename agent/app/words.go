package app

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// How long a trouble may go on that often mends itself.
const (
	imagePatience  = 60 * time.Second
	createPatience = 30 * time.Second
)

// startingFor is how long an app may take to be ready before it is told what
// is missing.
const startingFor = 3 * time.Second

// crashesAllowed is how often a container may end before its release fails: a
// first start may find a database that is not there yet.
const crashesAllowed = 2

const roomFix = "free room: stop or scale down an app, or ask for less with --cpu and --memory; it goes on by itself when there is room"

// roomTrouble says in plain words why the scheduler found no node.
func roomTrouble(words string, p *corev1.Pod, taints []string) *trouble {
	return &trouble{kind: troubleRoom, code: agent.CodeRollout, message: roomWords(words, p, taints), fix: roomFix, pod: p.Name}
}

// The scheduler's words: "0/2 nodes are available: 1 Insufficient cpu, 1
// node(s) had untolerated taint(s). preemption: ...".
var (
	roomNodes = regexp.MustCompile(`^(\d+)/(\d+) nodes are available: `)
	roomCount = regexp.MustCompile(`^\d+ (node\(s\) )?`)
)

func roomWords(words string, p *corev1.Pod, taints []string) string {
	head := roomNodes.FindStringSubmatch(words)
	if head == nil {
		return "no node has room: " + plain(words)
	}
	text, _, _ := strings.Cut(words[len(head[0]):], ". ")
	text, _, _ = strings.Cut(text, " preemption:")
	var reasons []string
	for part := range strings.SplitSeq(strings.TrimSuffix(text, "."), ", ") {
		for _, reason := range roomReasons(roomCount.ReplaceAllString(part, ""), p, taints) {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	return "no room in the shared node pool: " + strings.Join(reasons, "; ")
}

func roomReasons(part string, p *corev1.Pod, taints []string) []string {
	if strings.HasPrefix(part, "had untolerated taint") {
		return taintReasons(taints)
	}
	var requests corev1.ResourceList
	for _, c := range p.Spec.Containers {
		if c.Name == containerName {
			requests = c.Resources.Requests
		}
	}
	switch part {
	case "Insufficient cpu":
		return []string{fmt.Sprintf("no node has %s free, which an instance reserves", cores(requests.Cpu().AsApproximateFloat64()))}
	case "Insufficient memory":
		return []string{fmt.Sprintf("no node has %s of memory free, which an instance reserves", bytesOf(requests.Memory().AsApproximateFloat64()))}
	case "Insufficient ephemeral-storage":
		return []string{"no node has enough disk free"}
	case "Too many pods":
		return []string{"no node takes one more pod"}
	case "were unschedulable":
		return []string{"the node is closed for new work"}
	}
	return []string{plain(part)}
}

// taintReasons says what keeps pods off the nodes. The scheduler's words name
// no taint, so these are those of all nodes.
func taintReasons(taints []string) []string {
	if len(taints) == 0 {
		return []string{"the node was kept free a moment ago"}
	}
	known := map[string]string{
		agent.TaintDedicated:                             "a dedicated node is kept for what was moved to it",
		corev1.TaintNodeDiskPressure:                     "the node's disk is nearly full",
		corev1.TaintNodeMemoryPressure:                   "the node's memory is nearly used up",
		corev1.TaintNodePIDPressure:                      "the node has too many processes",
		corev1.TaintNodeNotReady:                         "the node is not ready",
		corev1.TaintNodeUnreachable:                      "the node is not ready",
		corev1.TaintNodeUnschedulable:                    "the node is closed for new work",
		corev1.TaintNodeNetworkUnavailable:               "the node's network is not ready",
		"node.cloudprovider.kubernetes.io/uninitialized": "the node is not ready",
	}
	var reasons []string
	for _, key := range taints {
		reason, ok := known[key]
		if !ok {
			reason = "the node is kept free by the taint " + key
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

// Words of registries and of containerd after which trying again is no use.
var imageFinal = []string{
	"not found", "manifest unknown", "name unknown", "name invalid", "unauthorized", "denied", "authorization failed", "authentication required",
	"forbidden", "invalid reference format", "does not exist", "no match for platform",
	"invalidimagename", "couldn't parse image", "errimageneverpull", "unsupported media type",
}

var imageStatus = regexp.MustCompile(`\b40[134]\b`)

// imageTrouble says why an image can't be had, in the registry's own words.
func imageTrouble(v view, p *corev1.Pod, waiting corev1.ContainerStateWaiting) *trouble {
	words := imageWords(waiting.Message)
	if words == "" {
		if e := v.event(p.Name, "Failed"); e != nil {
			words = imageWords(e.Message)
		}
	}
	t := &trouble{kind: troubleImage, code: agent.CodeImagePull, pod: p.Name, patience: imagePatience,
		message: "the image can't be pulled: " + words,
		fix:     "check the image's name and tag, and that this machine may read it; hks image load FILE.tar brings an image without a registry"}
	if words == "" {
		t.message = "the image can't be pulled (" + waiting.Reason + ")"
	}
	lower := strings.ToLower(waiting.Reason + " " + words)
	if imageStatus.MatchString(lower) || slices.ContainsFunc(imageFinal, func(final string) bool { return strings.Contains(lower, final) }) {
		t.patience = 0
	}
	return t
}

var (
	imageBackOff = regexp.MustCompile(`^Back-off pulling image "[^"]*"(: )?`)
	imageFailed  = regexp.MustCompile(`^Failed to pull image "[^"]*": `)
	rpcError     = regexp.MustCompile(`rpc error: code = \w+ desc = `)
	imagePull    = regexp.MustCompile(`^failed to pull and unpack image "[^"]*": `)
)

// imageWords takes what Kubernetes and containerd wrap around the registry's
// words off them.
func imageWords(message string) string {
	message = imageBackOff.ReplaceAllString(strings.TrimSpace(message), "")
	message = strings.TrimPrefix(message, "ErrImagePull: ")
	message = imageFailed.ReplaceAllString(message, "")
	message = rpcError.ReplaceAllString(message, "")
	message = imagePull.ReplaceAllString(message, "")
	if message == "ErrImagePull" || message == "ImagePullBackOff" || strings.HasPrefix(message, "Error: ") {
		return ""
	}
	return plain(message)
}

// createTrouble says why a container can't be made from its image.
func createTrouble(p *corev1.Pod, waiting *corev1.ContainerStateWaiting) *trouble {
	t := &trouble{kind: troubleCreate, code: agent.CodeRollout, pod: p.Name, patience: createPatience,
		message: "the container can't be started: " + plain(cmp.Or(waiting.Message, waiting.Reason)),
		fix:     "correct what it names and deploy again"}
	switch words := waiting.Message; {
	case strings.Contains(words, "non-numeric user"):
		t.patience = 0
		t.message = "the image names its user by a name, and the workspace must see that it is not root"
		t.fix = "give the image a user by number (USER 1000 in its Dockerfile) and deploy again"
	case strings.Contains(words, "runAsNonRoot"), strings.Contains(words, "run as root"):
		t.patience = 0
		t.message = "the image runs as root, which the workspace does not allow"
		t.fix = "give the image a user of its own (USER 1000 in its Dockerfile) and deploy again"
	case startRefused(words):
		t.patience = 0
		t.message = "the command can't be run: " + plain(words)
		t.fix = "correct the command, or the entry point of the image, and deploy again"
	}
	return t
}

// startRefused tells whether a runtime's words are about the command itself.
func startRefused(words string) bool {
	return slices.ContainsFunc([]string{"executable file not found", "no such file or directory", "permission denied", "no command specified", "exec format error", "is a directory"},
		func(w string) bool { return strings.Contains(words, w) })
}

// crash says how a container ended.
func crash(p *corev1.Pod, status *corev1.ContainerStatus, spec agent.Component) *trouble {
	end := status.State.Terminated
	if end == nil {
		end = status.LastTerminationState.Terminated
	}
	t := &trouble{kind: troubleCrash, code: agent.CodeRollout, pod: p.Name, patience: untilDeadline, fix: "see its last lines, mend it and deploy again"}
	if end == nil { // not seen: kubelet gives one of the two
		t.message = "the app ended"
		return t
	}
	code := int(end.ExitCode)
	t.exitCode = &code
	if status.RestartCount >= crashesAllowed {
		t.patience = 0
	}
	switch {
	case end.Reason == "OOMKilled":
		t.message = fmt.Sprintf("the app was ended by the kernel: it used more than its %s of memory (exit code %d)", bytesOf(memoryLimit(spec)), code)
		t.fix = "give it more with --memory, or mend what takes so much"
	case end.Reason == "StartError" || end.Reason == "ContainerCannotRun":
		t.patience = 0
		t.message = "the command can't be run: " + plain(end.Message)
		t.fix = "correct the command, or the entry point of the image, and deploy again"
	case code == 0:
		t.message = "the app ended by itself with exit code 0; an app has to go on running"
		t.fix = "let the command stay in the foreground and deploy again"
	case code > 128 && code < 160:
		t.message = fmt.Sprintf("the app ended with exit code %d (signal %d)", code, code-128)
	default:
		t.message = fmt.Sprintf("the app ended with exit code %d", code)
	}
	if status.RestartCount > 0 {
		t.message += fmt.Sprintf(", started %d times", status.RestartCount+1)
	}
	return t
}

func memoryLimit(spec agent.Component) float64 {
	limit := quantity(spec.Memory, defaultMemory)
	return limit.AsApproximateFloat64()
}

// readyTrouble says why a running container is not ready, from what its last
// probes met; nil while it is only starting: every app needs a moment.
func readyTrouble(v view, p *corev1.Pod, status *corev1.ContainerStatus, spec agent.Component) *trouble {
	e := v.event(p.Name, "Unhealthy")
	if e == nil || eventTime(e).Before(status.State.Running.StartedAt.Add(startingFor)) {
		return nil
	}
	t := &trouble{kind: troubleReady, code: agent.CodeRollout, pod: p.Name, patience: untilDeadline,
		fix: "see its log: it may need longer, or wait for something"}
	switch words := e.Message; {
	case strings.Contains(words, "connection refused"):
		t.message = fmt.Sprintf("nothing listens on port %d", spec.Port)
		t.fix = fmt.Sprintf("let the app listen on 0.0.0.0:%d (the variable PORT holds the number), or name its own port with --port", spec.Port)
	case strings.Contains(words, "statuscode: "):
		_, code, _ := strings.Cut(words, "statuscode: ")
		t.message = fmt.Sprintf("the health check %s answered %s", spec.Health, plain(code))
		t.fix = fmt.Sprintf("let %s answer with a status from 200 to 399 when the app can serve, or name another path with --health", spec.Health)
	case strings.Contains(words, "deadline exceeded"), strings.Contains(words, "timeout"), strings.Contains(words, "timed out"):
		t.message = fmt.Sprintf("the app did not answer in time on port %d", spec.Port)
	default:
		_, why, found := strings.Cut(words, "probe failed: ")
		if !found {
			why = words
		}
		t.message = "the app is not ready: " + plain(why)
	}
	return t
}

// plainBytes bounds words of other programs in messages.
const plainBytes = 600

// plain puts words of another program on one line of bounded length.
func plain(words string) string {
	words = strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' }), " ")
	if len(words) > plainBytes {
		words = strings.ToValidUTF8(words[:plainBytes], "") + "…"
	}
	return words
}
