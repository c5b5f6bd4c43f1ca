package routing

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFirstOwnerHasTheFrontend(t *testing.T) {
	frontend := Frontend{AnyAddr, TCP, 30080}
	rule := func(last byte) Rules {
		return Rules{{Frontend: frontend, Endpoints: []Endpoint{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, 0, last}), 8080)}}}
	}
	older, younger := Owner{"Service", "default/z", 1}, Owner{"Service", "default/a", 2}
	var table Table
	steps := []struct {
		what string
		do   func() []Frontend
		want string
	}{
		{"the younger is seen first", func() []Frontend { return table.Put(younger, rule(2)) }, "0.0.0.0:30080 tcp -> 10.244.0.2:8080\n"},
		{"the older comes", func() []Frontend { return table.Put(older, rule(1)) }, "0.0.0.0:30080 tcp -> 10.244.0.1:8080\n"},
		{"the younger changes", func() []Frontend { return table.Put(younger, rule(3)) }, "0.0.0.0:30080 tcp -> 10.244.0.1:8080\n"},
		{"the older goes", func() []Frontend { return table.Put(Owner{Kind: "Service", Name: "default/z"}, nil) }, "0.0.0.0:30080 tcp -> 10.244.0.3:8080\n"},
		{"the younger goes", func() []Frontend { return table.Put(Owner{Kind: "Service", Name: "default/a"}, nil) }, ""},
	}
	for _, step := range steps {
		touched := step.do()
		if diff := cmp.Diff(step.want, table.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
		if !slices.Contains(touched, frontend) {
			t.Errorf("%s: the frontend is not reported as touched", step.what)
		}
	}
}

func TestPutOfTheSameTouchesNothing(t *testing.T) {
	var table Table
	owner := Owner{"Service", "default/a", 1}
	rules := Rules{{Frontend: Frontend{AnyAddr, TCP, 1}}, {Frontend: Frontend{AnyAddr, TCP, 2}}}
	if touched := table.Put(owner, rules); len(touched) != 2 {
		t.Errorf("the first Put touched %v", touched)
	}
	if touched := table.Put(owner, slices.Clone(rules)); len(touched) != 0 {
		t.Errorf("the second Put touched %v", touched)
	}
	changed := slices.Clone(rules)
	changed[1].Without = Drop
	if touched := table.Put(owner, changed); !slices.Equal(touched, []Frontend{{AnyAddr, TCP, 2}}) {
		t.Errorf("a change of one touched %v", touched)
	}
}

// After any changes a Table is the same as one that is filled anew with what
// owners want last, and Put has reported every Frontend whose rule differs.
func TestTableForgetsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		wanted := map[string]Rules{}
		created := map[string]int64{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "owner")
			if len(wanted[name]) == 0 {
				created[name] = rapid.Int64Range(1, 3).Draw(t, "created")
			}
			rules := drawRules(t)
			before := rulesOf(&table)
			touched := table.Put(Owner{"Service", name, created[name]}, rules)
			wanted[name] = rules
			after := rulesOf(&table)
			for frontend := range union(before, after) {
				if before[frontend] != after[frontend] && !slices.Contains(touched, frontend) {
					t.Fatalf("%s went from %q to %q unreported", frontend, before[frontend], after[frontend])
				}
			}
		}
		var fresh Table
		for name, rules := range wanted {
			fresh.Put(Owner{"Service", name, created[name]}, rules)
		}
		if diff := cmp.Diff(fresh.String(), table.String()); diff != "" {
			t.Fatalf("filled anew and changed step by step (-anew +changed):\n%s", diff)
		}
	})
}

func drawRules(t *rapid.T) Rules {
	var rules Rules
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		rule := Rule{Frontend: Frontend{AnyAddr, TCP, rapid.Uint16Range(1, 4).Draw(t, "port")}}
		for range rapid.IntRange(0, 2).Draw(t, "endpoints") {
			rule.Endpoints = append(rule.Endpoints, netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:1", rapid.IntRange(1, 3).Draw(t, "endpoint"))))
		}
		rules = append(rules, rule)
	}
	return sorted(rules)
}

func rulesOf(table *Table) map[Frontend]string {
	found := map[Frontend]string{}
	for rule := range table.All() {
		found[rule.Frontend] = rule.String()
	}
	return found
}

func union(a, b map[Frontend]string) map[Frontend]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
