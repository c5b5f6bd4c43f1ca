package apiserver

import (
	"testing"
	"time"
)

func TestLongTimersEndOnWholeSeconds(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, int(300*time.Millisecond), time.UTC)
	for d, want := range map[time.Duration]time.Duration{
		0: 0, 10 * time.Millisecond: 10 * time.Millisecond,
		700 * time.Millisecond: 700 * time.Millisecond, 750 * time.Millisecond: 1700 * time.Millisecond,
		time.Second: 1700 * time.Millisecond, 3 * time.Second: 3700 * time.Millisecond,
	} {
		if got := untilWholeSecond(at, d); got != want {
			t.Errorf("%s becomes %s, want %s", d, got, want)
		}
	}
}
