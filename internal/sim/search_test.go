package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	mostReplicas  = flag.Int("replicas", 2, "TestSearch: up to how many replicas")
	mostRevisions = flag.Int("revisions", 2, "TestSearch: how many revisions")
	mostStates    = flag.Int("states", 4_000, "TestSearch: at most how many states for each setting; 0 is no bound")
)

// TestSearch tries all interleavings of small rollouts, with a crash at any
// place: up to -replicas, -revisions, and every maxSurge and maxUnavailable
// from 0 to 2.
func TestSearch(t *testing.T) {
	total := 0
	images := []string{"v1", "v2", "v3"}[:*mostRevisions]
	for replicas := range *mostReplicas {
		for setting := 1; setting < 9; setting++ {
			s := Search{
				Replicas: int32(replicas + 1), MaxSurge: int32(setting % 3), MaxUnavailable: int32(setting / 3),
				Images: images, Crashes: 1, MostStates: *mostStates,
			}
			t.Run(fmt.Sprintf("replicas=%d/surge=%d/unavailable=%d", s.Replicas, s.MaxSurge, s.MaxUnavailable), func(t *testing.T) {
				found := s.Run()
				total += found.States
				if found.Violation != "" {
					t.Fatalf("%s\n%s", found.Violation, strings.Join(found.Path, "\n"))
				}
				if found.Complete && found.Rests == 0 {
					t.Error("no way comes to rest")
				}
				t.Logf("%d states, %d at rest, all of them: %t", found.States, found.Rests, found.Complete)
			})
		}
	}
	t.Logf("%d states", total)
}
