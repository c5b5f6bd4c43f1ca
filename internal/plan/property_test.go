package plan

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// updates draws a Deployment that runs, and then a change of its template and
// perhaps of its size.
func updates(t *rapid.T) *cluster {
	c := newCluster()
	do := func(format string, args ...any) {
		if err := c.do(fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	bounds := rapid.SampledFrom([]string{"0", "1", "2", "25%", "50%", "100%"})
	do("deployment replicas=%d surge=%s unavailable=%s minReady=%d", rapid.IntRange(0, 12).Draw(t, "replicas"),
		bounds.Draw(t, "surge"), bounds.Draw(t, "unavailable"), rapid.IntRange(0, 20).Draw(t, "minReady"))
	do("model ready=%ds stop=%ds", rapid.IntRange(0, 30).Draw(t, "ready"), rapid.IntRange(0, 40).Draw(t, "stop"))
	if rapid.Bool().Draw(t, "recreate") {
		do("deployment strategy=Recreate")
	}
	do("runs")
	do("deployment image=v2")
	return c
}

// TestBoundsAreKept: what the plan foresees keeps what it states, and ends.
func TestBoundsAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Make(updates(t).in)
		if p.Outcome.State != Complete {
			t.Fatalf("nothing stops it, and yet:\n%s", p)
		}
		if p.Outcome.MostPods > p.Strategy.MostPods || p.Outcome.LeastAvailable < p.Strategy.LeastAvailable {
			t.Fatalf("it breaks its own bounds:\n%s", p)
		}
		for _, wave := range p.Waves {
			if wave.Total != wave.Old+wave.New || wave.Available > wave.Total || p.Strategy.Type == "Recreate" && wave.New > 0 && wave.Old+wave.Stopping > 0 {
				t.Fatalf("wave %+v makes no sense:\n%s", wave, p)
			}
		}
	})
}

// TestTheInputStaysAsItIs, and the same input gives the same plan.
func TestTheInputStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := updates(t)
		before := []any{c.in.Before.DeepCopy(), c.in.After.DeepCopy(), len(c.in.Pods)}
		for _, p := range c.in.Pods {
			before = append(before, p.DeepCopy())
		}
		first := Make(c.in)
		after := []any{c.in.Before, c.in.After, len(c.in.Pods)}
		for _, p := range c.in.Pods {
			after = append(after, p)
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatal("the input was changed")
		}
		if second := Make(c.in); !reflect.DeepEqual(first, second) {
			t.Fatalf("twice the same input gave\n%s\nand\n%s", first, second)
		}
	})
}

// TestEverythingEnds: whatever limits it and whatever was under way, a plan
// ends, and what it says fits together.
func TestEverythingEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := updates(t)
		do := func(format string, args ...any) {
			if err := c.do(fmt.Sprintf(format, args...)); err != nil {
				t.Fatal(err)
			}
		}
		number := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		if rapid.Bool().Draw(t, "breaks") {
			do("unready Image it crashes")
		}
		do("runs %ds", number("runs", 60))
		do("fixed")
		if rapid.Bool().Draw(t, "quota") {
			do("quota small pods=%d count/replicasets.apps=%d", number("pods", 20), number("sets", 4))
		}
		if rapid.Bool().Draw(t, "node") {
			do("node boat pods=%d", number("room", 20))
		}
		do("deployment image=v%d replicas=%d", 1+number("image", 3), number("replicas", 12))
		p := Make(c.in)
		o := p.Outcome
		stops := slices.ContainsFunc(p.Problems, func(p Problem) bool { return p.Stops })
		switch {
		case slices.ContainsFunc(p.Problems, func(p Problem) bool { return p.Cause == "Plan" }):
			t.Fatalf("it goes round in circles:\n%s", p)
		case o.State == Complete && (stops || o.Final.New != p.Strategy.Replicas || o.Final.Old != 0 || o.Final.Available != p.Strategy.Replicas):
			t.Fatalf("it is not complete:\n%s", p)
		case o.State == Stuck && !stops:
			t.Fatalf("it is stuck and does not say why:\n%s", p)
		}
		for i, wave := range p.Waves {
			if i > 0 && wave.AtSeconds < p.Waves[i-1].AtSeconds || wave.Available > wave.Total || wave.Total != wave.Old+wave.New {
				t.Fatalf("wave %d makes no sense:\n%s", i+1, p)
			}
		}
	})
}
