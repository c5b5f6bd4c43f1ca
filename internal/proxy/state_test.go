package proxy

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/routing"
)

var testPods, testServices = netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("10.96.0.0/12")

func TestAssignSlots(t *testing.T) {
	e := func(names string) []routing.Endpoint {
		var list []routing.Endpoint
		for _, name := range names {
			list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, 0, byte(name)}), 80))
		}
		return list
	}
	for _, test := range []struct{ name, old, now, want string }{
		{"new ones in their order", "", "abc", "abc"},
		{"one more at the end", "ab", "0ab", "ab0"},
		{"the last fills the gap", "abcd", "bcd", "dbc"},
		{"the last goes", "abc", "ab", "ab"},
		{"one replaced", "abc", "acd", "adc"},
		{"all replaced", "ab", "cd", "cd"},
		{"none left", "ab", "", ""},
	} {
		if got := assignSlots(e(test.old), e(test.now)); !slices.Equal(got, e(test.want)) {
			t.Errorf("%s: %s to %s gives %v, want %s", test.name, test.old, test.now, got, test.want)
		}
	}
}

// modelKernel does with elements what the kernel does, including its refusals.
type modelKernel map[elementID]string

func (m modelKernel) commit(t *rapid.T, p *plan) {
	remove, add := p.changes()
	for _, elements := range remove {
		for _, e := range elements {
			id := elementID{e.set, e.key}
			if _, exists := m[id]; !exists {
				t.Fatalf("removes %s %x, which does not exist", e.set, e.key)
			}
			delete(m, id)
		}
	}
	for _, elements := range add {
		for _, e := range elements {
			id := elementID{e.set, e.key}
			if _, exists := m[id]; exists {
				t.Fatalf("adds %s %x, which exists", e.set, e.key)
			}
			m[id] = e.value
		}
	}
}

// Whatever changes are made in whatever transactions, the kernel ends up with
// what the last rules need and nothing else; and each Frontend with endpoints
// has every number below their count, so that no roll finds nothing.
func TestTransactionsLeaveWhatTheRulesNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kernel := modelKernel{}
		s := newState(testPods.Contains, testServices.Contains)
		wanted := map[routing.Frontend]*routing.Rule{}
		for range rapid.IntRange(1, 10).Draw(t, "transactions") {
			plan := newPlan()
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				frontend, rule := drawChange(t)
				s.place(frontend, rule, plan)
				wanted[frontend] = rule
			}
			kernel.commit(t, plan)
			checkRolls(t, kernel, s)
		}
		fresh, freshPlan := newState(testPods.Contains, testServices.Contains), newPlan()
		for frontend, rule := range wanted {
			fresh.place(frontend, rule, freshPlan)
		}
		freshKernel := modelKernel{}
		freshKernel.commit(t, freshPlan)
		if diff := cmp.Diff(withoutOrder(freshKernel), withoutOrder(kernel)); diff != "" {
			t.Fatalf("filled anew and changed step by step (-anew +changed):\n%s", diff)
		}
		if diff := cmp.Diff(fresh.offers, s.offers, cmp.AllowUnexported(offer{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("offers (-anew +changed):\n%s", diff)
		}
	})
}

func drawChange(t *rapid.T) (routing.Frontend, *routing.Rule) {
	frontend := routing.Frontend{
		Addr:     rapid.SampledFrom([]netip.Addr{routing.AnyAddr, netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("192.0.2.1")}).Draw(t, "addr"),
		Protocol: rapid.SampledFrom([]routing.Protocol{routing.TCP, routing.UDP}).Draw(t, "protocol"),
		Port:     rapid.Uint16Range(80, 81).Draw(t, "port"),
	}
	if rapid.IntRange(0, 4).Draw(t, "gone") == 0 {
		return frontend, nil
	}
	rule := &routing.Rule{Frontend: frontend, Without: routing.Without(rapid.IntRange(0, 1).Draw(t, "without"))}
	rule.AffinitySeconds = rapid.SampledFrom([]int32{0, 60}).Draw(t, "affinity")
	rule.Terminating = rapid.Bool().Draw(t, "terminating")
	for _, text := range []string{"10.244.0.5:80", "10.244.0.6:80", "10.244.0.6:81", "198.51.100.1:80"} {
		if rapid.Bool().Draw(t, text) {
			rule.Endpoints = append(rule.Endpoints, netip.MustParseAddrPort(text))
		}
	}
	return frontend, rule
}

func checkRolls(t *rapid.T, kernel modelKernel, s *state) {
	for frontend, p := range s.placed {
		key := frontendKey(frontend)
		if chain, has := kernel[elementID{setServices, key}]; has != (len(p.slots) > 0) || has && !p.sticky() && chain != p.class().chain() {
			t.Fatalf("%s with %d endpoints leads to %q, want %q", frontend, len(p.slots), chain, p.class().chain())
		}
		numbers := setEndpoints
		if p.sticky() {
			numbers = setSticky
		}
		for i := range p.slots {
			if _, has := kernel[elementID{numbers, key + native(uint32(i))}]; !has {
				t.Fatalf("%s has no endpoint %d of %d", frontend, i, len(p.slots))
			}
		}
	}
}

// withoutOrder leaves out the numbers of endpoints, which depend on what was
// before.
func withoutOrder(kernel modelKernel) map[string]int {
	counts := map[string]int{}
	for id, value := range maps.All(kernel) {
		switch id.set {
		case setEndpoints, setSticky:
			counts[string(id.set)+id.key[:12]+value]++
		default:
			counts[string(id.set)+id.key+value]++
		}
	}
	return counts
}
