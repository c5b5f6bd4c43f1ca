package etcd

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// BenchmarkTick measures what docs/adr/0002-etcd-tick.md compares: how soon a
// store with each tick answers, and what it costs when nobody asks.
//
//	go test -run=- -bench=Tick -benchtime=1x -count=5 ./internal/etcd
func BenchmarkTick(b *testing.B) {
	for _, milliseconds := range []uint{10, 50, 100, 500} {
		for _, asked := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dms/asked=%t", milliseconds, asked), func(b *testing.B) {
				for range b.N {
					measureTick(b, milliseconds, asked)
				}
			})
		}
	}
}

// idle is long enough to see the tick among the store's slower timers.
const idle = 10 * time.Second

func measureTick(b *testing.B, milliseconds uint, asked bool) {
	dir := b.TempDir()
	config := Config{DataDir: filepath.Join(dir, "data"), Socket: filepath.Join(dir, "s")}
	if err := prepare(config); err != nil {
		b.Fatal(err)
	}
	member := memberConfig(config, newLogCore(config))
	member.TickMs, member.ElectionMs = milliseconds, electionTicks*milliseconds
	began := time.Now()
	server, err := embed.StartEtcd(member)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	if asked {
		go elect(server.Server)
	}
	<-server.Server.ReadyNotify()
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-ready")
	used := processorTime(b)
	time.Sleep(idle)
	b.ReportMetric(100*float64(processorTime(b)-used)/float64(idle), "%-of-a-core")
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
