package admission_test

import (
	"testing"
	"time"
)

// awaitAdmission waits until the server's own view has caught up.
func awaitAdmission(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("admission never took notice")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
