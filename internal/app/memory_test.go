package app

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestSpareIsWhatNothingUses(t *testing.T) {
	debug.FreeOSMemory()
	garbage := make([]byte, 4*spareWorth)
	garbage[0] = 1
	runtime.KeepAlive(garbage)
	if got := spare(); got < 3*spareWorth {
		t.Errorf("with %d bytes of garbage %d are spare", 4*spareWorth, got)
	}
	before := cycles()
	debug.FreeOSMemory()
	if got := spare(); got >= spareWorth {
		t.Errorf("%d bytes are spare after they were given back", got)
	}
	if cycles() == before {
		t.Error("no collection was counted")
	}
}
