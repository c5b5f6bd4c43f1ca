package network_test

import (
	"testing"

	"coxswain.dev/cox/internal/network/networktest"
)

func TestMain(m *testing.M) { networktest.Main(m) }
