package workspace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Never reached from a pod: the machine's own loopback and link-local
// addresses, among which clouds keep their metadata service (169.254.169.254,
// fd00:ec2::254).
var neverReached = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
}

// policies are two: one for the pods of functions and one for all others of the
// namespace, both ways. What they do not allow is denied, whatever else is
// there: the owner can't write network policies. A pod of a function is told by
// a label that it has from its making, so that there is no moment without its rules.
//
//   - in: from the nodes that the gateway runs on, and, but to functions, from
//     the namespace itself. On the gateway's own node the enforcers of k3s let
//     the host in anyhow; the addresses matter for pods on other nodes.
//   - out: to the namespace itself, but for functions, to the cluster's DNS,
//     and to the internet, which is everything but pods, Services and the nodes.
//     The API server, the kubelet and the registry are at the nodes' addresses.
func (b *builder) policies(ctx context.Context) ([]*networkingac.NetworkPolicyApplyConfiguration, error) {
	layout, err := b.network(ctx)
	if err != nil {
		return nil, err
	}
	having := func(operator metav1.LabelSelectorOperator) *metaac.LabelSelectorApplyConfiguration {
		return metaac.LabelSelector().WithMatchExpressions(metaac.LabelSelectorRequirement().WithKey(agent.LabelRuntime).WithOperator(operator))
	}
	own := networkingac.NetworkPolicyPeer().WithPodSelector(metaac.LabelSelector())
	others := networkingac.NetworkPolicyPeer().WithPodSelector(having(metav1.LabelSelectorOpDoesNotExist))
	gateways := func() *networkingac.NetworkPolicyIngressRuleApplyConfiguration {
		in := networkingac.NetworkPolicyIngressRule()
		for _, gateway := range layout.gateways {
			in.WithFrom(networkingac.NetworkPolicyPeer().WithIPBlock(networkingac.IPBlock().WithCIDR(gateway.String())))
		}
		return in
	}
	dns := networkingac.NetworkPolicyEgressRule().
		WithTo(networkingac.NetworkPolicyPeer().
			WithNamespaceSelector(metaac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem})).
			WithPodSelector(metaac.LabelSelector().WithMatchLabels(map[string]string{"k8s-app": "kube-dns"}))).
		WithPorts(
			networkingac.NetworkPolicyPort().WithProtocol(corev1.ProtocolUDP).WithPort(intstr.FromInt32(53)),
			networkingac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(53)))
	internet := networkingac.NetworkPolicyEgressRule()
	for _, all := range layout.families {
		block := networkingac.IPBlock().WithCIDR(all.String())
		for _, inside := range layout.inside {
			if inside.Addr().Is4() == all.Addr().Is4() {
				block.WithExcept(inside.String())
			}
		}
		internet.WithTo(networkingac.NetworkPolicyPeer().WithIPBlock(block))
	}
	policy := func(pods *metaac.LabelSelectorApplyConfiguration) *networkingac.NetworkPolicySpecApplyConfiguration {
		return networkingac.NetworkPolicySpec().WithPodSelector(pods).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	}
	return []*networkingac.NetworkPolicyApplyConfiguration{
		networkingac.NetworkPolicy(objectName, b.name).WithLabels(b.labels()).
			WithSpec(policy(having(metav1.LabelSelectorOpDoesNotExist)).
				WithIngress(gateways().WithFrom(own)).
				WithEgress(networkingac.NetworkPolicyEgressRule().WithTo(own), dns, internet)),
		networkingac.NetworkPolicy(functionsPolicy, b.name).WithLabels(b.labels()).
			WithSpec(policy(having(metav1.LabelSelectorOpExists)).
				WithIngress(gateways()).
				WithEgress(networkingac.NetworkPolicyEgressRule().WithTo(others), dns, internet)),
	}, nil
}

// functionsPolicy is the name of the policy for the pods of functions.
const functionsPolicy = objectName + "-functions"

// layout is what the policy needs to know of the cluster's network.
type layout struct {
	gateways []netip.Prefix // where the gateway's requests come from
	inside   []netip.Prefix // pods, Services, nodes: not the internet
	families []netip.Prefix // all addresses, of each family that pods have
	dual     bool           // pods have IPv6 addresses too
}

func (b *builder) network(ctx context.Context) (layout, error) {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return layout{}, err
	}
	services, err := b.serviceNets(ctx)
	if err != nil {
		return layout{}, err
	}
	hosts, err := b.cfg.HostAddresses()
	if err != nil {
		return layout{}, fmt.Errorf("listing the machine's addresses: %w", err)
	}
	inside := slices.Concat(neverReached, b.cfg.ClusterNets, services)
	for _, address := range hosts {
		inside = append(inside, single(address))
	}
	l := layout{families: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	for _, node := range nodes {
		pods, addresses := nodeNets(&node)
		inside = append(append(inside, pods...), addresses...)
		l.dual = l.dual || slices.ContainsFunc(pods, func(net netip.Prefix) bool { return net.Addr().Is6() })
		if runsGateway(&node, len(nodes)) {
			l.gateways = append(l.gateways, addresses...)
			for _, net := range pods {
				// Flannel's own address on the node, from which the host speaks
				// to pods of other nodes, is the first of the node's pod network.
				l.gateways = append(l.gateways, single(net.Masked().Addr()))
			}
		}
	}
	if l.dual {
		l.families = append(l.families, netip.MustParsePrefix("::/0"))
	}
	l.inside, l.gateways = compact(inside), compact(l.gateways)
	return l, nil
}

// serviceNets are the networks of Services, as the cluster tells them. A
// cluster too old to tell has those of the settings.
func (b *builder) serviceNets(ctx context.Context) ([]netip.Prefix, error) {
	list, err := get(ctx, "looking at the networks of Services", func(ctx context.Context) (*networkingv1.ServiceCIDRList, error) {
		return b.set.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	})
	if err := kube.IgnoreNotFound(err); err != nil || list == nil {
		return nil, err
	}
	var nets []netip.Prefix
	for _, item := range list.Items {
		nets = append(nets, prefixes(item.Spec.CIDRs)...)
	}
	return nets, nil
}

// runsGateway tells whether the gateway runs on the node: it is beside the
// control plane.
func runsGateway(node *corev1.Node, nodes int) bool {
	_, controlPlane := node.Labels["node-role.kubernetes.io/control-plane"]
	return controlPlane || nodes == 1
}

func nodeNets(node *corev1.Node) (pods, addresses []netip.Prefix) {
	pods = prefixes(node.Spec.PodCIDRs)
	for _, a := range node.Status.Addresses {
		if address, err := netip.ParseAddr(a.Address); err == nil { // else a host name
			addresses = append(addresses, single(address))
		}
	}
	return pods, addresses
}

func prefixes(texts []string) []netip.Prefix {
	var nets []netip.Prefix
	for _, text := range texts {
		if net, err := netip.ParsePrefix(text); err == nil {
			nets = append(nets, net.Masked())
		}
	}
	return nets
}

func single(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	return netip.PrefixFrom(address, address.BitLen())
}

// compact sorts the networks and drops those inside another.
func compact(nets []netip.Prefix) []netip.Prefix {
	slices.SortFunc(nets, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var kept []netip.Prefix
	for _, net := range nets {
		if n := len(kept); n > 0 && kept[n-1].Overlaps(net) {
			continue
		}
		kept = append(kept, net)
	}
	return kept
}

func interfaceAddresses() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("asking the kernel: %w", err)
	}
	var addresses []netip.Addr
	for _, address := range found {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			addresses = append(addresses, prefix.Addr())
		}
	}
	return addresses, nil
}
