package sim

import (
	"fmt"
	"strings"
)

// trace is what happened, a line for each thing. Nil keeps nothing: then
// nothing is formatted either, which is most of the simulator's speed.
type trace struct{ text strings.Builder }

// say adds a line.
func (w *World) say(format string, args ...any) {
	if w.trace == nil {
		return
	}
	fmt.Fprintf(&w.trace.text, "%9.3fs  %s\n", w.elapsed.Seconds(), fmt.Sprintf(format, args...))
}
