package sim

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	schedules = flag.Uint64("schedules", 100_000, "how many schedules TestSchedules runs")
	firstSeed = flag.Uint64("seed", 1, "the first seed of TestSchedules, or the one of TestSeed")
	soakTime  = flag.Duration("soak", 0, "how long TestSoak runs; -schedules bounds it too")
)

// enough failures are shown; more are only more of the same.
const enough = 3

// TestMain lets garbage wait: a schedule leaves much of it, and needs little.
// A large search needs much.
func TestMain(m *testing.M) {
	debug.SetGCPercent(4000)
	debug.SetMemoryLimit(3 << 30)
	m.Run()
}

// TestSchedules runs schedules of consecutive seeds on all cores.
func TestSchedules(t *testing.T) {
	count := *schedules
	if testing.Short() {
		count = min(count, 2_000)
	}
	try(t, count, func() bool { return true })
}

// TestSoak runs schedules for as long as it is told to, and says how far it is.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("make soak runs it")
	}
	end := time.Now().Add(*soakTime)
	try(t, *schedules, func() bool { return time.Now().Before(end) })
}

// try runs up to count schedules, while it goes on.
func try(t *testing.T, count uint64, goOn func() bool) {
	begin, spent := time.Now(), processorTime(t)
	var next, done, failed, rounds atomic.Uint64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for failed.Load() < enough && goOn() {
				n := next.Add(1) - 1
				if n >= count {
					return
				}
				result := Run(*firstSeed + n)
				switch {
				case result.Violation != "":
					failed.Add(1)
					t.Errorf("seed %d: %s\nreplay: %s", result.Seed, result.Violation, replayOf(result.Seed))
				case result.Faults < MinFaults || result.Steps < Steps:
					t.Errorf("seed %d: only %d faults in %d steps", result.Seed, result.Faults, result.Steps)
				}
				rounds.Add(uint64(result.Rounds))
				if n := done.Add(1); n%50_000 == 0 {
					t.Logf("%d schedules in %s", n, time.Since(begin).Round(time.Second))
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d schedules from seed %d in %s, %.0f in a second of processor time, %d failed, at rest after %.1f rounds in the mean",
		done.Load(), *firstSeed, time.Since(begin).Round(time.Millisecond), float64(done.Load())/(processorTime(t)-spent).Seconds(),
		failed.Load(), float64(rounds.Load())/float64(max(1, done.Load())))
}

// processorTime is what this process has used: on a machine that does other
// things too, the rate by it is what one core of its own would give, or less.
func processorTime(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// replayOf is what to type to see a schedule.
func replayOf(seed uint64) string {
	return fmt.Sprintf("go test ./internal/sim -run TestSeed -v -args -seed %d", seed)
}

// TestSeed shows what happens in one schedule.
func TestSeed(t *testing.T) {
	result := Replay(*firstSeed)
	t.Logf("seed %d:\n%s", result.Seed, result.Trace)
	if result.Violation != "" {
		t.Error(result.Violation)
	}
}

// TestSchedulesHaveEverything: schedules have all kinds of faults, and users who do
// all that they can.
func TestSchedulesHaveEverything(t *testing.T) {
	var text strings.Builder
	for seed := range uint64(300) {
		text.WriteString(Replay(seed).Trace)
	}
	happened := text.String()
	var wanted []string
	for fate := fateFine + 1; fate < fates; fate++ {
		wanted = append(wanted, "  strikes: "+fate.String()+"\n")
	}
	for _, f := range faultKinds {
		wanted = append(wanted, "  fault: "+f.name+"\n")
	}
	for _, a := range userActions {
		wanted = append(wanted, "user "+a.name+": ")
	}
	for _, a := range aside {
		wanted = append(wanted, "user "+a.name+": true\n")
	}
	for _, line := range wanted {
		if count := strings.Count(happened, line); count < 10 {
			t.Errorf("%q is %d times in 300 schedules", line, count)
		}
	}
}

// TestReplayByHand: what a failure says is to be typed shows the same schedule
// in any process.
func TestReplayByHand(t *testing.T) {
	command := strings.Fields(replayOf(7))
	if command[0] != "go" || command[1] != "test" {
		t.Fatalf("%q runs no test", command)
	}
	var arguments []string
	for _, a := range command[3:] { // of a test binary: -run is -test.run there
		switch a {
		case "-run", "-v":
			a = "-test." + a[1:]
		case "-args":
			continue
		}
		arguments = append(arguments, a)
	}
	out, err := exec.Command(os.Args[0], arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", arguments, err, out)
	}
	here := Replay(7).Trace
	if there := strings.ReplaceAll(string(out), "\n        ", "\n"); here == "" || !strings.Contains(there, here) {
		t.Errorf("the schedule of another process is not the same:\n%s\nhere:\n%s", there, here)
	}
}

// TestReplay: a seed is a schedule, byte for byte.
func TestReplay(t *testing.T) {
	for seed := range uint64(200) {
		first, second := Replay(seed), Replay(seed)
		if first != second {
			t.Fatalf("seed %d is two schedules:\n%s\n%s", seed, first.Trace, second.Trace)
		}
		if quiet := Run(seed); quiet.Violation != first.Violation || quiet.Rounds != first.Rounds || quiet.Faults != first.Faults {
			t.Fatalf("seed %d: %+v without a trace", seed, quiet)
		}
	}
}

// BenchmarkSchedule is how many schedules one core runs in a second.
func BenchmarkSchedule(b *testing.B) {
	b.ReportAllocs()
	seed := uint64(0)
	for b.Loop() {
		seed++
		Run(seed)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
