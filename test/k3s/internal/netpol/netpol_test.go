package netpol

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestSubtract(t *testing.T) {
	for _, c := range []struct {
		cidr   string
		except []string
		want   []string
	}{
		{"10.0.0.0/8", nil, []string{"10.0.0.0/8"}},
		{"10.0.0.0/30", []string{"10.0.0.1/32"}, []string{"10.0.0.0/32", "10.0.0.2/31"}},
		{"10.0.0.0/24", []string{"10.0.0.0/16"}, []string{}},
		{"10.0.0.0/24", []string{"192.168.0.0/16"}, []string{"10.0.0.0/24"}},
		{"0.0.0.0/0", []string{"128.0.0.0/1", "0.0.0.0/2"}, []string{"64.0.0.0/2"}},
	} {
		if got := subtract(c.cidr, c.except); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s without %v: %v, want %v", c.cidr, c.except, got, c.want)
		}
	}
}

func pod(name, ns, ip string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, UID: types.UID("uid-" + name), Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "here", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}}}},
		Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
	}
}

func TestRender(t *testing.T) {
	named := intstr.FromString("http")
	c := &cluster{
		node:       "here",
		namespaces: map[string]*corev1.Namespace{"a": {ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		pods:       []*corev1.Pod{pod("web", "a", "10.42.0.2", map[string]string{"app": "web"}), pod("client", "a", "10.42.0.3", map[string]string{"app": "client"})},
		policies: []*networkingv1.NetworkPolicy{{
			ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "a"},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{
					From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "client"}}}},
					Ports: []networkingv1.NetworkPolicyPort{{Port: &named}},
				}},
			},
		}},
	}
	rules, _ := render(c)
	for _, want := range []string{
		"-A KUBE-ROUTER-FORWARD -d 10.42.0.2 -j KUBE-POD-FW-",
		"-A KUBE-ROUTER-INPUT -s 10.42.0.2 -j KUBE-POD-FW-",
		"-s 10.42.0.3 -p tcp --dport 8080 -j RETURN",
		"-j REJECT",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("no %q in\n%s", want, rules)
		}
	}
	if strings.Contains(rules, "-d 10.42.0.3 -j") {
		t.Errorf("the client isn't selected:\n%s", rules)
	}
}
