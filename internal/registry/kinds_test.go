package registry_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/test/golden"
)

// Every file in testdata is one trait of the kinds that are served: requests,
// and what the API answers.
func TestKinds(t *testing.T) {
	config := apitest.Start(t).Admin()
	var worlds atomic.Int32
	golden.Scenarios(t, func() *world { return newWorld(t, config, fmt.Sprintf("world-%d", worlds.Add(1))) })
}
