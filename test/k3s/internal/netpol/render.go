package netpol

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	forwardChain = "KUBE-ROUTER-FORWARD" // pods among themselves and with the world
	inputChain   = "KUBE-ROUTER-INPUT"   // pods to their own node
	podPrefix    = "KUBE-POD-FW-"
)

// render gives the rules as iptables-restore reads them, and the chains they are in. What a policy allows returns to the
// caller, so that both ends of a connection are asked; traffic from the node itself passes neither chain.
func render(c *cluster) (string, map[string]bool) {
	body := map[string][]string{}
	forward := []string{"-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"}
	input := append([]string{}, forward...)
	sort.Slice(c.pods, func(i, j int) bool { return c.pods[i].UID < c.pods[j].UID })
	for _, pod := range c.pods {
		if pod.Spec.NodeName != c.node || !hasAddress(pod) {
			continue
		}
		ip := pod.Status.PodIP
		for _, dir := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			var rules []string
			selected := false
			for _, policy := range c.policies {
				if policy.Namespace == pod.Namespace && applies(policy, dir) && matches(&policy.Spec.PodSelector, pod.Labels) {
					selected = true
					rules = append(rules, c.allow(policy, dir, pod)...)
				}
			}
			if !selected {
				continue
			}
			sort.Strings(rules)
			// Kubelet probes and other traffic of the node come from addresses of its own.
			if dir == networkingv1.PolicyTypeIngress {
				rules = append([]string{"-m addrtype --src-type LOCAL -j RETURN"}, rules...)
			}
			chain := chainName(podPrefix, string(pod.UID)+string(dir))
			body[chain] = append(rules, "-j REJECT --reject-with icmp-port-unreachable")
			if dir == networkingv1.PolicyTypeIngress {
				forward = append(forward, fmt.Sprintf("-d %s -j %s", ip, chain))
			} else {
				forward = append(forward, fmt.Sprintf("-s %s -j %s", ip, chain))
				input = append(input, fmt.Sprintf("-s %s -j %s", ip, chain))
			}
		}
	}
	body[forwardChain], body[inputChain] = forward, input
	return text(body)
}

func text(body map[string][]string) (string, map[string]bool) {
	names := make([]string, 0, len(body))
	chains := map[string]bool{}
	for name := range body {
		names = append(names, name)
		chains[name] = true
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, ":%s - [0:0]\n", name)
	}
	for _, name := range names {
		for _, rule := range body[name] {
			fmt.Fprintf(&b, "-A %s %s\n", name, rule)
		}
	}
	return b.String(), chains
}

func hasAddress(pod *corev1.Pod) bool {
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !strings.Contains(pod.Status.PodIP, ":") &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func applies(p *networkingv1.NetworkPolicy, dir networkingv1.PolicyType) bool {
	for _, t := range p.Spec.PolicyTypes {
		if t == dir {
			return true
		}
	}
	return false
}

func matches(s *metav1.LabelSelector, set map[string]string) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(set))
}

// allow gives the rules by which a policy lets traffic of a pod pass.
func (c *cluster) allow(p *networkingv1.NetworkPolicy, dir networkingv1.PolicyType, pod *corev1.Pod) []string {
	var out []string
	if dir == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			out = append(out, c.combine("-s", c.addresses(p.Namespace, r.From), r.Ports, []*corev1.Pod{pod})...)
		}
		return out
	}
	for _, r := range p.Spec.Egress {
		out = append(out, c.combine("-d", c.addresses(p.Namespace, r.To), r.Ports, nil)...)
	}
	return out
}

func chainName(prefix, of string) string {
	sum := sha256.Sum256([]byte(of))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:16]
}
