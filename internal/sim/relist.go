package sim

import "slices"

// relist brings a cache to a later state; its handlers hear only of the
// difference.
func (w *World) relist(of kind) {
	w.say("the watch of %ss is there again", of)
	switch of {
	case kindDeployment:
		relist(w, &w.deploymentCache, w.process.hearDeployment)
	case kindSet:
		relist(w, &w.setCache, w.process.hearSet)
	case kindPod:
		relist(w, &w.podCache, w.process.hearPod)
	}
}

// notice is one object before and after an event or a relist; none where there
// is none.
type notice[O object] struct{ before, after O }

// relist takes a part of what a cache has not heard of over at once, as an
// informer does that has to list again: handlers hear of what is gone by its
// last known state, and of all that is there, changed or not, but nothing of
// what came and went in between. A list without anything in it is not heard of.
func relist[O object](w *World, c *cache[O], handle func(O)) {
	behind := c.behind()
	if behind == 0 {
		return
	}
	known := slices.Clone(c.items)
	for range 1 + w.pick(behind) {
		c.next()
	}
	all := differences(known, c)
	for _, n := range all {
		n.heard(handle)
	}
	if len(all) > 0 {
		w.process.moved(c)
	}
}

// differences are what a cache had and has now.
func differences[O object](known []O, c *cache[O]) (all []notice[O]) {
	var none O
	for _, before := range known {
		if _, exists := c.get(before.GetName()); !exists {
			all = append(all, notice[O]{before, none})
		}
	}
	for _, after := range c.items {
		before := none
		if at := slices.IndexFunc(known, func(o O) bool { return o.GetName() == after.GetName() }); at >= 0 {
			before = known[at]
		}
		all = append(all, notice[O]{before, after})
	}
	return all
}

func (n notice[O]) heard(handle func(O)) {
	var none O
	for _, o := range []O{n.before, n.after} {
		if o != none {
			handle(o)
		}
	}
}

// double has the handlers hear of all that the caches have once more, as a
// resync does.
func (w *World) double() bool {
	heard := again(&w.deploymentCache, w.process.hearDeployment)
	heard += again(&w.setCache, w.process.hearSet)
	heard += again(&w.podCache, w.process.hearPod)
	return heard > 0
}

func again[O object](c *cache[O], handle func(O)) int {
	for _, o := range c.items {
		handle(o)
	}
	return len(c.items)
}
