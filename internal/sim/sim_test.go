package sim

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	schedules = flag.Int("schedules", 100_000, "how many schedules TestSchedules runs")
	firstSeed = flag.Uint64("seed", 1, "the first seed of TestSchedules")
)

// TestSchedules runs schedules of consecutive seeds on all cores.
func TestSchedules(t *testing.T) {
	begin := time.Now()
	var next, failed atomic.Uint64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for failed.Load() < 3 {
				n := next.Add(1) - 1
				if n >= uint64(*schedules) {
					return
				}
				seed := *firstSeed + n
				result := Run(seed)
				if result.Faults < MinFaults && result.Violation == "" {
					t.Errorf("seed %d: %d faults", seed, result.Faults)
				}
				if result.Violation != "" {
					failed.Add(1)
					t.Errorf("seed %d: %s\n%s", seed, result.Violation, Replay(seed).Trace)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d schedules in %s", next.Load(), time.Since(begin).Round(time.Millisecond))
}

// TestReplay: a seed is a schedule, byte for byte.
func TestReplay(t *testing.T) {
	for seed := range uint64(50) {
		first, second := Replay(seed), Replay(seed)
		if first != second {
			t.Fatalf("seed %d is two schedules:\n%s\n%s", seed, first.Trace, second.Trace)
		}
		if quiet := Run(seed); quiet.Violation != first.Violation || quiet.Rounds != first.Rounds || quiet.Faults != first.Faults {
			t.Fatalf("seed %d: %+v without a trace", seed, quiet)
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	b.ReportAllocs()
	seed := uint64(0)
	for b.Loop() {
		seed++
		Run(seed)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
