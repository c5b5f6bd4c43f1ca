package autoscale_test

import (
	"testing"

	"coxswain.dev/cox/test/golden"
)

// Every file in testdata is one rule.
func TestScenarios(t *testing.T) { golden.Scenarios(t, newWorld) }
