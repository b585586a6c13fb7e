// Package netpol enforces NetworkPolicies on one node with iptables. Its chains carry kube-router's names, as k3s's do.
package netpol

import (
	"context"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	settle  = 100 * time.Millisecond // changes come in bursts
	recheck = 15 * time.Second       // somebody else may have flushed or reordered the rules
)

// cluster is what the rules are computed from.
type cluster struct {
	node       string
	pods       []*corev1.Pod
	namespaces map[string]*corev1.Namespace
	policies   []*networkingv1.NetworkPolicy
}

// Run keeps the node's rules in step with the cluster until ctx ends; the rules stay.
func Run(ctx context.Context, client kubernetes.Interface, node string) {
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, spaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	poke()
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), spaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
		}); err != nil {
			log.Printf("level=error msg=\"network policies are not enforced\" error=%q", err)
			return
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	every := time.NewTicker(recheck)
	defer every.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			last = ""
		case <-changed:
			time.Sleep(settle)
			select {
			case <-changed:
			default:
			}
		}
		c := cluster{node: node, namespaces: map[string]*corev1.Namespace{}}
		c.pods, _ = pods.Lister().List(labels.Everything())
		c.policies, _ = policies.Lister().List(labels.Everything())
		all, _ := spaces.Lister().List(labels.Everything())
		for _, ns := range all {
			c.namespaces[ns.Name] = ns
		}
		rules, chains := render(&c)
		if rules == last {
			continue
		}
		if err := apply(ctx, rules, chains); err != nil {
			if ctx.Err() == nil {
				log.Printf("level=error msg=\"network policies\" error=%q", err)
			}
			last = ""
			time.AfterFunc(time.Second, poke)
			continue
		}
		last = rules
	}
}
