package app

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress prints one line for each finished step of a start, with the time
// it took. Steps may run side by side.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// NewProgress counts from now.
func NewProgress(out io.Writer) *Progress {
	return &Progress{out: out, start: time.Now()}
}

// Step begins a step; the returned function ends and prints it. detail may
// be empty.
func (p *Progress) Step(name string) (done func(detail string)) {
	start := time.Now()
	return func(detail string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(p.out, "%-12s %8s  %s\n", name, inMilliseconds(time.Since(start)), detail)
	}
}

// Printf prints a free line.
func (p *Progress) Printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Elapsed is the time since the start, in whole milliseconds.
func (p *Progress) Elapsed() string { return inMilliseconds(time.Since(p.start)) }

func inMilliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
