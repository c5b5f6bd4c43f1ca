package proxy

// plan collects what one transaction does. An element that is removed and
// added again as it was is left alone.
type plan struct {
	classes  []numberedClass
	elements map[elementID]transition
}

type numberedClass struct {
	class
	number uint32
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

func newPlan() *plan { return &plan{elements: map[elementID]transition{}} }

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
