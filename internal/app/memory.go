package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// spareLook is how often is looked for memory that nothing uses.
	spareLook = 20 * time.Second
	// spareWorth is how much there has to be for a garbage collection to be
	// worth it, by which it is given back.
	spareWorth = 6 << 20
)

// returnMemory gives what a start or a burst has left in the heap back to the
// machine. The runtime itself keeps as much again as is in use for the next
// burst, which a cox at rest does not have.
func returnMemory(ctx context.Context) {
	tick := time.NewTicker(spareLook)
	defer tick.Stop()
	for before := cycles(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A heap that was collected meanwhile has work to do, and needs its room.
		if now := cycles(); now != before {
			before = now
		} else if spare() >= spareWorth {
			debug.FreeOSMemory()
			before = cycles()
		}
	}
}

// spare is how many bytes of the heap hold nothing that was alive when it was
// last collected.
func spare() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()) + int64(samples[1].Value.Uint64()) - int64(samples[2].Value.Uint64())
}

// cycles is how often the heap was collected.
func cycles() uint64 {
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64()
}
