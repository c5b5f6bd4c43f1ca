package proxy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/policy"
)

// kindPolicy is the owner of everything that NetworkPolicies come to: they are
// decided about together.
const kindPolicy = "NetworkPolicy"

var allPolicies = owner{kind: kindPolicy}

// guards asks the cores what the NetworkPolicies there are allow, and for whom
// load balancers are.
func (s *sources) guards(gateway netip.Addr) *guards {
	g := s.policyGuards(gateway)
	g.fences = s.fences()
	return g
}

func (s *sources) policyGuards(gateway netip.Addr) *guards {
	policies := listed[*networkingv1.NetworkPolicy](s.policies)
	if len(policies) == 0 {
		return &guards{}
	}
	pods := listed[*corev1.Pod](s.pods)
	return guardsOf(policy.Decide(policy.Snapshot{
		Node: s.node, Pods: append(pods, policy.NameServer(gateway)), Namespaces: listed[*corev1.Namespace](s.namespaces), Policies: policies,
	}), gateway)
}

func listed[O any](informer cache.SharedIndexInformer) []O {
	objects := informer.GetStore().List()
	found := make([]O, 0, len(objects))
	for _, object := range objects {
		found = append(found, object.(O))
	}
	return found
}

// matters tells whether a change of a Pod may change what policies allow.
func matters(old, new *corev1.Pod) bool {
	if old.Status.PodIP != new.Status.PodIP || old.Status.Phase != new.Status.Phase || old.Spec.NodeName != new.Spec.NodeName || len(old.Labels) != len(new.Labels) {
		return true
	}
	for key, value := range old.Labels {
		if now, has := new.Labels[key]; !has || now != value {
			return true
		}
	}
	return false
}

// subscribePolicies marks allPolicies for every event that may concern them.
// Without any policy, Pods and Namespaces concern nobody.
func (s *sources) subscribePolicies(mark func(owner)) (synced []cache.InformerSynced, removals []func() error, err error) {
	always := func(any) { mark(allPolicies) }
	perhaps := func(any) {
		if len(s.policies.GetStore().ListKeys()) > 0 {
			mark(allPolicies)
		}
	}
	for _, source := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{s.policies, cache.ResourceEventHandlerFuncs{AddFunc: always, UpdateFunc: func(_, _ any) { mark(allPolicies) }, DeleteFunc: always}},
		{s.services, fenceHandler(mark)},
		{s.namespaces, cache.ResourceEventHandlerFuncs{AddFunc: perhaps, UpdateFunc: func(_, new any) { perhaps(new) }, DeleteFunc: perhaps}},
		{s.pods, cache.ResourceEventHandlerFuncs{AddFunc: perhaps, DeleteFunc: perhaps, UpdateFunc: func(old, new any) {
			if matters(old.(*corev1.Pod), new.(*corev1.Pod)) {
				perhaps(new)
			}
		}}},
	} {
		registration, err := source.informer.AddEventHandler(source.handler)
		if err != nil {
			return synced, removals, err
		}
		removals = append(removals, func() error { return source.informer.RemoveEventHandler(registration) })
		synced = append(synced, registration.HasSynced)
	}
	return synced, removals, nil
}
