package proxy

import "coxswain.dev/cox/internal/routing"

// plan collects what one transaction does. An element that is removed and
// added again as it was is left alone.
type plan struct {
	classes []class
	// sticky are changed Frontends with affinity, before or after.
	sticky   map[routing.Frontend]restick
	elements map[elementID]transition
}

type elementID struct {
	set setName
	key string
}

// transition is an element before and after the transaction.
type transition struct {
	had, has      bool
	before, after string
}

// restick is a sticky placement before and after the transaction.
type restick struct{ before, after placement }

func newPlan() *plan {
	return &plan{sticky: map[routing.Frontend]restick{}, elements: map[elementID]transition{}}
}

// needsChains tells whether elements will lead to chains that are not there.
func (p *plan) needsChains() bool { return len(p.classes)+len(p.sticky) > 0 }

// stick notes a change of a Frontend that is or was sticky.
func (p *plan) stick(frontend routing.Frontend, before, after placement) {
	r, seen := p.sticky[frontend]
	if !seen {
		r.before = before
	}
	r.after = after
	if r.before.sticky() || r.after.sticky() || seen {
		p.sticky[frontend] = r
	}
}

func (p *plan) remove(elements ...element) {
	for _, e := range elements {
		id := elementID{e.set, e.key}
		t, seen := p.elements[id]
		if !seen {
			t = transition{had: true, before: e.value}
		}
		t.has, t.after = false, ""
		p.elements[id] = t
	}
}

func (p *plan) add(elements ...element) {
	for _, e := range elements {
		id := elementID{e.set, e.key}
		t := p.elements[id]
		t.has, t.after = true, e.value
		p.elements[id] = t
	}
}

// changes are the elements to remove and then to add. One whose value changes
// is in both: the kernel does not overwrite.
func (p *plan) changes() (remove, add map[setName][]element) {
	remove, add = map[setName][]element{}, map[setName][]element{}
	for id, t := range p.elements {
		if t.had == t.has && t.before == t.after {
			continue
		}
		if t.had {
			remove[id.set] = append(remove[id.set], element{id.set, id.key, t.before})
		}
		if t.has {
			add[id.set] = append(add[id.set], element{id.set, id.key, t.after})
		}
	}
	return remove, add
}
