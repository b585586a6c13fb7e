package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"hks.dev/hks/agent"
)

func TestExplain(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	forbidden := func(words string) error { return apierrors.NewForbidden(pods, "web", errors.New(words)) }
	refused := &url.Error{Op: "Get", URL: "https://127.0.0.1:6443/x", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	own := agent.Errorf(agent.CodePlanLimit, "", "no more")
	tests := map[string]struct {
		err  error
		code agent.Code
		want string
	}{
		"A04 refused":         {refused, agent.CodeClusterAway, "connection refused"},
		"A04 no answer":       {fmt.Errorf("x: %w", context.DeadlineExceeded), agent.CodeClusterAway, "no answer in time"},
		"A04 overloaded":      {apierrors.NewServiceUnavailable("starting"), agent.CodeClusterAway, "does not answer"},
		"unauthorized":        {apierrors.NewUnauthorized("no"), agent.CodeClusterAway, "credential"},
		"not found":           {apierrors.NewNotFound(pods, "web"), agent.CodeNotFound, "not found"},
		"exists":              {apierrors.NewAlreadyExists(pods, "web"), agent.CodeConflict, "already exists"},
		"bad value":           {apierrors.NewBadRequest("bad port"), agent.CodeInvalid, "bad port"},
		"no right":            {forbidden(`User "hks" cannot patch resource "pods"`), agent.CodeClusterAway, "cannot patch"},
		"A96 rights not read": {forbidden(`User "hks" cannot patch resource "pods": RBAC: clusterrole.rbac.authorization.k8s.io "hks-agent" not found`), agent.CodeClusterAway, "rights"},
		"admission":           {forbidden("policy says no"), agent.CodeForbidden, "policy says no"},
		"namespace going":     {forbidden("unable to create new content in namespace x because it is being terminated"), agent.CodeConflict, "being removed"},
		"pod security":        {forbidden(`violates PodSecurity "baseline:latest": privileged`), agent.CodeForbidden, "privileged"},
		"limit range":         {forbidden("maximum cpu usage per Container is 1, but limit is 2"), agent.CodeQuota, "maximum cpu"},
		"quota":               {forbidden("exceeded quota: hks, requested: limits.memory=512Mi,pods=1, used: limits.memory=900Mi,pods=3, limited: limits.memory=1Gi,pods=3"), agent.CodeQuota, "memory limit: 512Mi asked, 900Mi of 1Gi used; pods: 1 asked, 3 of 3 used"},
		"A15 storage":         {forbidden("exceeded quota: hks, requested: requests.storage=20Gi, used: requests.storage=0, limited: requests.storage=10Gi"), agent.CodeQuotaStorage, "storage: 20Gi asked, 0 of 10Gi used"},
		"ours stays as it is": {own, agent.CodePlanLimit, "no more"},
		"anything else":       {errors.New("odd"), agent.CodeInternal, "doing it: odd"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Explain("doing it", tt.err)
			if agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s %q, want %s with %q", agent.CodeOf(err), err, tt.code, tt.want)
			}
		})
	}
	if Explain("doing it", nil) != nil {
		t.Error("no error became one")
	}
	if err := Explain("doing it", context.Canceled); !errors.Is(err, context.Canceled) || agent.CodeOf(err) != agent.CodeInternal {
		t.Errorf("a cancellation became %v", err)
	}
}
