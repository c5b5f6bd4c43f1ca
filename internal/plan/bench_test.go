package plan

import (
	"fmt"
	"testing"
)

// BenchmarkMake foresees the update of a Deployment with default bounds.
func BenchmarkMake(b *testing.B) {
	for _, replicas := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d", replicas), func(b *testing.B) {
			c := newCluster()
			for _, line := range []string{"node boat cpu=100000 pods=100000", fmt.Sprintf("deployment replicas=%d", replicas), "runs", "deployment image=v2"} {
				if err := c.do(line); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if p := Make(c.in); p.Outcome.State != Complete {
					b.Fatal(p)
				}
			}
		})
	}
}

// BenchmarkMakeOneByOne is the longest plan of as many Pods.
func BenchmarkMakeOneByOne(b *testing.B) {
	c := newCluster()
	for _, line := range []string{"deployment replicas=500 surge=1 unavailable=0", "runs", "deployment image=v2"} {
		if err := c.do(line); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if p := Make(c.in); p.Outcome.State != Complete {
			b.Fatal(p)
		}
	}
}
