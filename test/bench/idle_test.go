package bench

import (
	"testing"
	"time"
)

// idleFor is how long an idle instance is watched.
const idleFor = time.Minute

// BenchmarkIdle is what a started instance without Pods costs: memory, and
// CPU time and disk writes over a minute.
func BenchmarkIdle(b *testing.B) {
	instance := startWithImages(b)
	for b.Loop() {
		before := settled(b, instance.Namespace)
		time.Sleep(idleFor) // the measure is the time in which nothing is asked
		after, err := usageOf(instance.Namespace)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(after.processes), "processes")
		b.ReportMetric(float64(after.anonymousKiB)/1024, "MiB-anonymous")
		b.ReportMetric(float64(after.proportionalKiB)/1024, "MiB-proportional")
		b.ReportMetric(100*float64(after.cpu-before.cpu)/float64(idleFor), "%-of-a-core")
		b.ReportMetric(float64(after.writtenBytes-before.writtenBytes)/1024, "KiB-written/min")
	}
}

// settled waits until a start's work is over: less than 1 % of a core and
// nothing written over five seconds, or two minutes at most.
func settled(b *testing.B, namespace string) usage {
	b.Helper()
	const look = 5 * time.Second
	last, err := usageOf(namespace)
	if err != nil {
		b.Fatal(err)
	}
	for range 24 {
		time.Sleep(look)
		now, err := usageOf(namespace)
		if err != nil {
			b.Fatal(err)
		}
		quiet := now.cpu-last.cpu < look/100 && now.writtenBytes == last.writtenBytes
		last = now
		if quiet {
			break
		}
	}
	return last
}
