package workspace

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestA06PolicyDeniesNodesAndOtherPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		policy, err := c.set.NetworkingV1().NetworkPolicies("dev-workspace").Get(t.Context(), objectName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if types := policy.Spec.PolicyTypes; len(types) != 2 {
			t.Errorf("policy types %v", types)
		}
		var in, except []string
		for _, rule := range policy.Spec.Ingress {
			for _, from := range rule.From {
				if from.IPBlock != nil {
					in = append(in, from.IPBlock.CIDR)
				} else if from.NamespaceSelector != nil {
					t.Errorf("another namespace comes in: %+v", from)
				}
			}
		}
		for _, rule := range policy.Spec.Egress {
			for _, to := range rule.To {
				if to.IPBlock != nil {
					except = append(append(except, to.IPBlock.CIDR), to.IPBlock.Except...)
				}
			}
		}
		if want := []string{"10.42.0.0/32", "192.0.2.7/32"}; !slices.Equal(in, want) {
			t.Errorf("the gateway's addresses: %v, want %v", in, want)
		}
		want := []string{"0.0.0.0/0", "10.42.0.0/16", "10.43.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "192.0.2.7/32", "198.51.100.9/32"}
		if !slices.Equal(except, want) {
			t.Errorf("the internet is %v, want %v", except, want)
		}
		if slices.ContainsFunc(policy.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return len(r.To) == 0 }) {
			t.Error("a rule allows every destination")
		}
	})
}

func TestCompact(t *testing.T) {
	var in []netip.Prefix
	for _, s := range []string{"192.0.2.7/32", "10.42.0.1/32", "10.42.0.0/16", "10.42.3.0/24", "192.0.2.7/32", "::1/128"} {
		in = append(in, netip.MustParsePrefix(s))
	}
	var got []string
	for _, p := range compact(in) {
		got = append(got, p.String())
	}
	if want := []string{"10.42.0.0/16", "192.0.2.7/32", "::1/128"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
