package proxy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// A load balancer with loadBalancerSourceRanges has a chain of its own, by
// which new connections to its addresses are judged before anything is
// translated. Programs of this machine are not asked.

// setFences is the map from destination to that chain. It lives beside the
// elements of Services, as fences change with policies.
const setFences = "fences"

// beforeDNAT is where destinations are still those that clients have named.
var beforeDNAT = nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 10)

// fences are the load balancers that are not for everybody. Of two Services
// that want the same address and port, the first has it here as elsewhere.
func (s *sources) fences() map[routing.Frontend][]netip.Prefix {
	services := slices.DeleteFunc(listed[*corev1.Service](s.services), func(service *corev1.Service) bool { return !fenced(service) })
	slices.SortFunc(services, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	found := map[routing.Frontend][]netip.Prefix{}
	for _, service := range services {
		for _, fence := range routing.Fences(service) {
			if _, taken := found[fence.Frontend]; !taken {
				found[fence.Frontend] = fence.Sources
			}
		}
	}
	return found
}

func fenced(service *corev1.Service) bool { return len(service.Spec.LoadBalancerSourceRanges) > 0 }

func (s *sources) isFenced(key string) bool {
	object, exists, err := s.services.GetStore().GetByKey(key)
	return err == nil && exists && fenced(object.(*corev1.Service))
}

// fenceHandler marks what fences belong to when one may have gone.
func fenceHandler(mark func(owner)) cache.ResourceEventHandler {
	tell := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if service, ok := object.(*corev1.Service); ok && fenced(service) {
			mark(allPolicies)
		}
	}
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, _ any) { tell(old) }, DeleteFunc: tell}
}

func sameFences(a, b map[routing.Frontend][]netip.Prefix) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]netip.Prefix])
}

// addFences adds what fences stand in; without any, nobody is asked.
func (s *skeleton) addFences(conn *nftables.Conn) error {
	set := &nftables.Set{
		Table: s.table, Name: setFences, KeyType: typeDestination, Concatenation: true, IsMap: true, DataType: nftables.TypeVerdict,
	}
	if err := conn.AddSet(set, nil); err != nil {
		return fmt.Errorf("adding set %s: %w", set.Name, err)
	}
	s.sets[setFences] = set
	s.fences = s.chain(conn, "filter-before-dnat", &nftables.Chain{Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: beforeDNAT})
	return nil
}

// fence adds the commands that lead from some fences to others.
func (s *skeleton) fence(conn *nftables.Conn, before, now map[routing.Frontend][]netip.Prefix) error {
	set := s.sets[setFences]
	for frontend, sources := range now {
		was, had := before[frontend]
		if had && slices.Equal(was, sources) {
			continue
		}
		chain := s.chain(conn, fenceChain(frontend), nil)
		conn.FlushChain(chain)
		for _, source := range sources {
			s.rule(conn, chain, from(source), verdict(expr.VerdictReturn))
		}
		s.rule(conn, chain, verdict(expr.VerdictDrop))
		if !had {
			if err := conn.SetAddElements(set, fenceElement(frontend)); err != nil {
				return err
			}
		}
	}
	for frontend := range before {
		if _, still := now[frontend]; still {
			continue
		}
		if err := conn.SetDeleteElements(set, fenceElement(frontend)); err != nil {
			return err
		}
		chain := &nftables.Chain{Table: s.table, Name: fenceChain(frontend)}
		conn.FlushChain(chain)
		conn.DelChain(chain)
	}
	switch {
	case len(before) == 0 && len(now) > 0:
		s.rule(conn, s.fences, conntrackHas(expr.CtKeySTATE, expr.CtStateBitNEW), loadDestination(reg0, false), jumpBy(set, reg0))
	case len(before) > 0 && len(now) == 0:
		conn.FlushChain(s.fences)
	}
	return nil
}

func fenceChain(f routing.Frontend) string {
	return fmt.Sprintf("fence-%s-%s-%d", f.Addr, f.Protocol, f.Port)
}

func fenceElement(f routing.Frontend) []nftables.SetElement {
	return []nftables.SetElement{{
		Key: []byte(frontendKey(f)), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: fenceChain(f)},
	}}
}
