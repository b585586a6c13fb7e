package netpol

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// A peer is one address range of the other side, with the pod it belongs to when it belongs to one.
type peer struct {
	cidr string
	pod  *corev1.Pod
}

// addresses gives the other side of a rule; no peers mean everybody.
func (c *cluster) addresses(namespace string, peers []networkingv1.NetworkPolicyPeer) []peer {
	if len(peers) == 0 {
		return []peer{{cidr: "0.0.0.0/0"}}
	}
	var out []peer
	for _, p := range peers {
		if p.IPBlock != nil {
			for _, cidr := range subtract(p.IPBlock.CIDR, p.IPBlock.Except) {
				out = append(out, peer{cidr: cidr})
			}
			continue
		}
		for _, pod := range c.pods {
			if hasAddress(pod) && c.selects(namespace, p, pod) {
				out = append(out, peer{cidr: pod.Status.PodIP, pod: pod})
			}
		}
	}
	return out
}

func (c *cluster) selects(namespace string, p networkingv1.NetworkPolicyPeer, pod *corev1.Pod) bool {
	if p.NamespaceSelector == nil && pod.Namespace != namespace {
		return false
	}
	if p.NamespaceSelector != nil {
		ns := c.namespaces[pod.Namespace]
		if ns == nil || !matches(p.NamespaceSelector, ns.Labels) {
			return false
		}
	}
	return p.PodSelector == nil || matches(p.PodSelector, pod.Labels)
}

// combine makes a rule of each pair of address and port. A port's name means the port of the pod that receives: for
// ingress the policy's own pod, for egress the peer.
func (c *cluster) combine(side string, peers []peer, ports []networkingv1.NetworkPolicyPort, receivers []*corev1.Pod) []string {
	var out []string
	for _, p := range peers {
		match := side + " " + p.cidr
		if p.cidr == "0.0.0.0/0" {
			match = ""
		}
		if len(ports) == 0 {
			out = append(out, strings.TrimSpace(match+" -j RETURN"))
			continue
		}
		to := receivers
		if to == nil && p.pod != nil {
			to = []*corev1.Pod{p.pod}
		}
		for _, port := range ports {
			for _, m := range portMatches(port, to) {
				out = append(out, strings.TrimSpace(match+" "+m+" -j RETURN"))
			}
		}
	}
	return out
}

func portMatches(port networkingv1.NetworkPolicyPort, receivers []*corev1.Pod) []string {
	proto := "tcp"
	if port.Protocol != nil {
		proto = strings.ToLower(string(*port.Protocol))
	}
	switch {
	case port.Port == nil:
		return []string{"-p " + proto}
	case port.Port.StrVal != "":
		var out []string
		for _, pod := range receivers {
			for _, ctr := range pod.Spec.Containers {
				for _, cp := range ctr.Ports {
					if cp.Name == port.Port.StrVal && strings.EqualFold(string(cp.Protocol), proto) {
						out = append(out, fmt.Sprintf("-p %s --dport %d", proto, cp.ContainerPort))
					}
				}
			}
		}
		return out
	case port.EndPort != nil:
		return []string{fmt.Sprintf("-p %s --dport %d:%d", proto, port.Port.IntVal, *port.EndPort)}
	default:
		return []string{fmt.Sprintf("-p %s --dport %d", proto, port.Port.IntVal)}
	}
}
