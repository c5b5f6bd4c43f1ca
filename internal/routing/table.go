package routing

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Owner is whose rules they are. Of two that want the same Frontend, the one
// created first gets it, as with upstream's proxies; the names break a tie.
type Owner struct {
	// Kind and Name (namespace/name) identify the owner.
	Kind, Name string
	// Created is in nanoseconds since 1970.
	Created int64
}

func (o Owner) compare(p Owner) int {
	return cmp.Or(cmp.Compare(o.Created, p.Created), strings.Compare(o.Kind, p.Kind), strings.Compare(o.Name, p.Name))
}

// Table is the rules of everybody. The zero Table is empty.
type Table struct {
	owned  map[ownerKey]claim
	claims map[Frontend][]Owner // sorted; the first has it
}

type ownerKey struct{ kind, name string }

type claim struct {
	owner Owner
	rules Rules
}

// Put replaces the rules of an owner, none removes it, and returns the
// Frontends whose rule may have changed, sorted.
func (t *Table) Put(owner Owner, rules Rules) []Frontend {
	if t.owned == nil {
		t.owned, t.claims = map[ownerKey]claim{}, map[Frontend][]Owner{}
	}
	key := ownerKey{owner.Kind, owner.Name}
	old := t.owned[key]
	touched := map[Frontend]bool{}
	for _, rule := range old.rules {
		touched[rule.Frontend] = true
		t.unclaim(rule.Frontend, old.owner)
	}
	delete(t.owned, key)
	if len(rules) > 0 {
		t.owned[key] = claim{owner, rules}
	}
	for _, rule := range rules {
		touched[rule.Frontend] = true
		t.claim(rule.Frontend, owner)
	}
	if old.owner == owner {
		for _, rule := range old.rules {
			if now, found := find(rules, rule.Frontend); found && now.Equal(rule) {
				delete(touched, rule.Frontend)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(touched), Frontend.compare)
}

// At is the rule of a Frontend.
func (t *Table) At(frontend Frontend) (Rule, bool) {
	owners := t.claims[frontend]
	if len(owners) == 0 {
		return Rule{}, false
	}
	return find(t.owned[ownerKey{owners[0].Kind, owners[0].Name}].rules, frontend)
}

// All is every rule in force, in no order.
func (t *Table) All() iter.Seq[Rule] {
	return func(yield func(Rule) bool) {
		for frontend := range t.claims {
			if rule, found := t.At(frontend); found && !yield(rule) {
				return
			}
		}
	}
}

// String is stable text of the rules in force.
func (t *Table) String() string { return sorted(slices.Collect(t.All())).String() }

func (t *Table) claim(frontend Frontend, owner Owner) {
	owners := t.claims[frontend]
	at, found := slices.BinarySearchFunc(owners, owner, Owner.compare)
	if !found {
		t.claims[frontend] = slices.Insert(owners, at, owner)
	}
}

func (t *Table) unclaim(frontend Frontend, owner Owner) {
	owners := t.claims[frontend]
	if at, found := slices.BinarySearchFunc(owners, owner, Owner.compare); found {
		owners = slices.Delete(owners, at, at+1)
	}
	if len(owners) == 0 {
		delete(t.claims, frontend)
	} else {
		t.claims[frontend] = owners
	}
}

func find(rules Rules, frontend Frontend) (Rule, bool) {
	at, found := slices.BinarySearchFunc(rules, frontend, func(r Rule, f Frontend) int { return r.Frontend.compare(f) })
	if !found {
		return Rule{}, false
	}
	return rules[at], true
}
