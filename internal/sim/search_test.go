package sim

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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
	var searches []Search
	for replicas := range *mostReplicas {
		for setting := 1; setting < 9; setting++ {
			searches = append(searches, Search{
				Replicas: int32(replicas + 1), MaxSurge: int32(setting % 3), MaxUnavailable: int32(setting / 3),
				Images: []string{"v1", "v2", "v3"}[:*mostRevisions], Abstract: true,
			})
		}
	}
	search(t, searches)
}

// TestSearchExactly leaves nothing out: Pods take time to end, and controllers
// look only when they are woken. So it finds wake-ups that are missing.
func TestSearchExactly(t *testing.T) {
	var searches []Search
	for replicas := range *exactReplicas {
		s := Search{Replicas: int32(replicas + 1), Images: []string{"v1", "v2"}}
		for setting := 1; setting < 9; setting++ {
			s.MaxSurge, s.MaxUnavailable = int32(setting%3), int32(setting/3)
			searches = append(searches, s)
		}
		s.Recreate = true
		searches = append(searches, s)
	}
	search(t, searches)
}

// search runs searches side by side, each with one crash and one stale read,
// and prints the number of their states.
func search(t *testing.T, searches []Search) {
	var total atomic.Int64
	// A group, so that the number is printed when all of them have ended.
	t.Run("all", func(t *testing.T) {
		for _, s := range slices.Backward(searches) { // the longest first
			t.Run(settingOf(s), func(t *testing.T) {
				t.Parallel()
				s.Crashes, s.StaleReads, s.MostStates = 1, 1, *mostStates
				s.Progress = func(states, waiting int) { t.Logf("%d states, %d to go on from", states, waiting) }
				found := s.Run()
				total.Add(int64(found.States))
				if found.Violation != "" {
					t.Fatalf("%s\n%s", found.Violation, strings.Join(found.Path, "\n"))
				}
				if found.Complete && found.Rests == 0 {
					t.Error("no way comes to rest")
				}
				t.Logf("%d states, %d at rest, all of them: %t", found.States, found.Rests, found.Complete)
			})
		}
	})
	t.Logf("%d states", total.Load())
}

func settingOf(s Search) string {
	if s.Recreate {
		return fmt.Sprintf("replicas=%d/Recreate", s.Replicas)
	}
	return fmt.Sprintf("replicas=%d/surge=%d/unavailable=%d", s.Replicas, s.MaxSurge, s.MaxUnavailable)
}
