package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	mostReplicas  = flag.Int("replicas", 4, "TestSearch: up to how many replicas")
	mostRevisions = flag.Int("revisions", 2, "TestSearch: how many revisions, 3 at most")
	exactReplicas = flag.Int("exact", 1, "TestSearchExactly: up to how many replicas")
	mostStates    = flag.Int("states", 0, "TestSearch: at most how many states for each setting; 0 is no bound")
)

// TestSearch tries all interleavings of small rolling updates, with a crash
// and a stale read at any place: up to -replicas, -revisions, and every
// maxSurge and maxUnavailable from 0 to 2.
func TestSearch(t *testing.T) {
	total := 0
	for replicas := range *mostReplicas {
		for setting := 1; setting < 9; setting++ {
			total += searched(t, Search{
				Replicas: int32(replicas + 1), MaxSurge: int32(setting % 3), MaxUnavailable: int32(setting / 3),
				Images: []string{"v1", "v2", "v3"}[:*mostRevisions], Abstract: true,
			})
		}
	}
	t.Logf("%d states", total)
}

// TestSearchExactly leaves nothing out: Pods take time to end, and controllers
// look only when they are woken. So it finds wake-ups that are missing.
func TestSearchExactly(t *testing.T) {
	total := 0
	for replicas := range *exactReplicas {
		s := Search{Replicas: int32(replicas + 1), Images: []string{"v1", "v2"}}
		for setting := 1; setting < 9; setting++ {
			s.MaxSurge, s.MaxUnavailable = int32(setting%3), int32(setting/3)
			total += searched(t, s)
		}
		s.Recreate = true
		total += searched(t, s)
	}
	t.Logf("%d states", total)
}

// searched runs a search, with one crash and one stale read, and returns the
// number of its states.
func searched(t *testing.T, s Search) int {
	s.Crashes, s.StaleReads, s.MostStates = 1, 1, *mostStates
	found := Found{}
	name := fmt.Sprintf("replicas=%d/surge=%d/unavailable=%d", s.Replicas, s.MaxSurge, s.MaxUnavailable)
	if s.Recreate {
		name = fmt.Sprintf("replicas=%d/Recreate", s.Replicas)
	}
	t.Run(name, func(t *testing.T) {
		found = s.Run()
		if found.Violation != "" {
			t.Fatalf("%s\n%s", found.Violation, strings.Join(found.Path, "\n"))
		}
		if found.Complete && found.Rests == 0 {
			t.Error("no way comes to rest")
		}
		t.Logf("%d states, %d at rest, all of them: %t", found.States, found.Rests, found.Complete)
	})
	return found.States
}
