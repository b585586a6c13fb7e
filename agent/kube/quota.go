package kube

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// QuotaRefusal is what the quota admission of the API server said: for each
// resource short, what was asked, what is used and the limit.
type QuotaRefusal struct {
	Shortages []Shortage
}

// Shortage is one resource that a quota does not allow. Values are Kubernetes
// quantities.
type Shortage struct {
	Resource           string // cpu, memory, storage, pods, as people call it
	Key                string // as the quota names it, such as limits.memory
	Asked, Used, Limit string
}

// The words of k8s.io/apiserver/pkg/admission/plugin/resourcequota:
// "exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=3,b=4".
var quotaWords = regexp.MustCompile(`exceeded quota: [^,]+, requested: (\S+), used: (\S+), limited: (\S+)`)

// ParseQuota reads the refusal out of an error's or an event's text.
func ParseQuota(text string) (QuotaRefusal, bool) {
	found := quotaWords.FindStringSubmatch(text)
	if found == nil {
		return QuotaRefusal{}, false
	}
	asked, used, limit := pairs(found[1]), pairs(found[2]), pairs(found[3])
	var refusal QuotaRefusal
	for key, amount := range asked {
		refusal.Shortages = append(refusal.Shortages, Shortage{
			Resource: plainResource(key), Key: key, Asked: amount, Used: used[key], Limit: limit[key],
		})
	}
	slices.SortFunc(refusal.Shortages, func(a, b Shortage) int { return strings.Compare(a.Key, b.Key) })
	return refusal, len(refusal.Shortages) > 0
}

// String says it in words: "memory: 512Mi asked, 900Mi of 1Gi used".
func (q QuotaRefusal) String() string {
	parts := make([]string, 0, len(q.Shortages))
	for _, s := range q.Shortages {
		parts = append(parts, fmt.Sprintf("%s: %s asked, %s of %s used", s.Resource, s.Asked, s.Used, s.Limit))
	}
	return strings.Join(parts, "; ")
}

// Error is the refusal as an error for people.
func (q QuotaRefusal) Error(doing string, cause error) *agent.Error {
	code, fix := agent.CodeQuota, "scale down or delete an app, or ask for less CPU or memory"
	details := map[string]any{}
	for _, s := range q.Shortages {
		if s.Resource == "storage" {
			code, fix = agent.CodeQuotaStorage, "delete a volume that is not needed, or take a larger plan"
		}
		details[s.Key] = map[string]string{"asked": s.Asked, "used": s.Used, "limit": s.Limit}
	}
	return &agent.Error{
		Code:    code,
		Message: fmt.Sprintf("%s: the workspace's quota does not allow it (%s)", doing, q),
		Fix:     fix,
		Details: details,
		Cause:   cause,
	}
}

func pairs(list string) map[string]string {
	found := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(list, ","), ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			found[key] = value
		}
	}
	return found
}

func plainResource(key string) string {
	switch key {
	case "requests.cpu", "cpu":
		return "CPU"
	case "limits.cpu":
		return "CPU limit"
	case "requests.memory", "memory":
		return "memory"
	case "limits.memory":
		return "memory limit"
	case "requests.storage":
		return "storage"
	case "persistentvolumeclaims":
		return "volumes"
	case "services.nodeports":
		return "node ports"
	case "services.loadbalancers":
		return "load balancers"
	}
	return key
}
