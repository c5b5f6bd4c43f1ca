package usage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a reading of a counter, both in seconds.
func at(seconds, taken float64) *CPU {
	return &CPU{Time: start.Add(duration(seconds)), UsageCoreNanoSeconds: uint64(taken * 1e9)}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// sampled is a sample of one Pod with one container.
func sampled(uid, id string, started float64, cpu *CPU) Summary {
	s := Summary{Time: cpu.Time, Node: Node{Name: "n", CPU: cpu}}
	s.Pods = []Pod{{Ref: PodRef{Name: "p", UID: uid}, Containers: []Container{{
		Name: "c", ID: id, StartTime: start.Add(duration(started)), CPU: cpu, Memory: &Memory{Time: cpu.Time, WorkingSetBytes: 1},
	}}}}
	return s
}

func TestARateFollowsFromTwoSamples(t *testing.T) {
	first := sampled("u", "1", -100, at(0, 40))
	for _, test := range []struct {
		name  string
		after Summary
		want  string
	}{
		{"half a core for ten seconds", sampled("u", "1", -100, at(10, 45)), "500m over 10s"},
		{"nothing", sampled("u", "1", -100, at(10, 40)), "0m over 10s"},
		{"three cores for a second", sampled("u", "1", -100, at(1, 43)), "3000m over 1s"},
		{"too short a time", sampled("u", "1", -100, at(0.4, 45)), "unknown"},
		{"a clock that went back", sampled("u", "1", -100, at(-5, 45)), "unknown"},
		{"started anew between the samples", sampled("u", "2", 6, at(10, 2)), "500m over 4s"},
		{"started anew just now", sampled("u", "2", 9.8, at(10, 0.1)), "unknown"},
		{"another Pod by the name, which runs for long", sampled("v", "2", -50, at(10, 41)), "unknown"},
		{"a counter that went back", sampled("u", "1", -100, at(10, 39)), "unknown"},
		{"a counter that began anew, as the container did", sampled("u", "1", 8, at(10, 1)), "500m over 2s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := text(Rates(first, test.after).Pods[0].Containers[0].CPU); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if test.after.Pods[0].Containers[0].CPU.UsageNanoCores != nil {
				t.Error("the sample was changed")
			}
		})
	}
}

func text(cpu *CPU) string {
	if cpu.UsageNanoCores == nil {
		return "unknown"
	}
	return fmt.Sprintf("%dm over %s", *cpu.UsageNanoCores/1e6, cpu.Window)
}

func TestTheNodeHasARateToo(t *testing.T) {
	rates := Rates(sampled("u", "1", 0, at(0, 1000)), sampled("u", "1", 0, at(2, 1003)))
	if got := text(rates.Node.CPU); got != "1500m over 2s" {
		t.Errorf("got %s", got)
	}
	if got := Rates(Summary{}, sampled("u", "1", 0, at(2, 1003))); got.Node.CPU.UsageNanoCores != nil {
		t.Errorf("one sample alone gives %s", text(got.Node.CPU))
	}
	if got := Rates(Summary{}, Summary{}); got.Node.CPU != nil || len(got.Pods) > 0 {
		t.Errorf("nothing gives %+v", got)
	}
}

func TestASpanIsThatOfAllContainers(t *testing.T) {
	known := func(end, window float64) Container {
		cpu := at(end, 1)
		cpu.UsageNanoCores, cpu.Window = new(uint64), duration(window)
		return Container{CPU: cpu, Memory: &Memory{}}
	}
	end, window, ok := Pod{Containers: []Container{known(10, 10), known(9, 4), known(11, 8)}}.Span()
	if !ok || window != 4*time.Second || !end.Equal(start.Add(9*time.Second)) {
		t.Errorf("got %s, %s, %v", end, window, ok)
	}
	for name, pod := range map[string]Pod{
		"no container":        {},
		"one without a rate":  {Containers: []Container{known(10, 10), {CPU: at(1, 1), Memory: &Memory{}}}},
		"one without memory":  {Containers: []Container{known(10, 10), {CPU: known(1, 1).CPU}}},
		"one without a count": {Containers: []Container{{Memory: &Memory{}}}},
	} {
		if _, _, ok := pod.Span(); ok {
			t.Errorf("%s: a part passes for the whole", name)
		}
	}
}

// Whatever the counters do, a rate is what was counted in its window.
func TestRatesAreWhatWasCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Float64Range(-100, 100)
		counted := rapid.Float64Range(0, 1e6)
		before := sampled("u", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "id"), seconds.Draw(t, "start"), at(seconds.Draw(t, "first"), counted.Draw(t, "counted first")))
		after := sampled("u", "1", seconds.Draw(t, "start then"), at(seconds.Draw(t, "then"), counted.Draw(t, "counted then")))
		cpu := Rates(before, after).Pods[0].Containers[0].CPU
		if cpu.UsageNanoCores == nil {
			return
		}
		if cpu.Window < ShortestWindow || cpu.Window > cpu.Time.Sub(before.Time) {
			t.Errorf("a window of %s, and %s between the samples", cpu.Window, cpu.Time.Sub(before.Time))
		}
		if taken := float64(*cpu.UsageNanoCores) * cpu.Window.Seconds(); taken > float64(cpu.UsageCoreNanoSeconds)+1e6 {
			t.Errorf("a rate of %s, of %d ns that were ever taken", text(cpu), cpu.UsageCoreNanoSeconds)
		}
	})
}
