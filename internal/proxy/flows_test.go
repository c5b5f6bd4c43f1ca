package proxy

import (
	"testing"

	"coxswain.dev/cox/internal/routing"
)

func TestOnlyWantedFlowsAreListed(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	for _, network := range []string{"tcp", "udp"} {
		mustAsk(t, client.Dial, network, a.Addr.String()+":8080")
		mustAsk(t, client.Dial, network, b.Addr.String()+":8080")
	}
	for name, want := range map[string]struct {
		only
		flows int
	}{
		"all":             {only{}, 4},
		"to a":            {only{server: a.Addr}, 2},
		"UDP":             {only{protocol: byte(routing.UDP)}, 2},
		"TCP to b":        {only{server: b.Addr, protocol: byte(routing.TCP)}, 1},
		"to the client":   {only{server: client.Addr}, 0},
		"SCTP, of nobody": {only{protocol: byte(routing.SCTP)}, 0},
	} {
		flows, err := listFlows(want.only)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ours := 0
		for _, f := range flows {
			if f.client.Addr() != client.Addr {
				continue // of other tests
			}
			ours++
			if f.asked != f.server || f.server.Port() != 8080 || f.sent == 0 || f.answered == 0 || (f.tcp == 0) != (f.protocol == byte(routing.UDP)) {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if ours != want.flows {
			t.Errorf("%s: %d flows, want %d: %+v", name, ours, want.flows, flows)
		}
	}
}

func FuzzFlow(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{52, 0, 1, 128, 20, 0, 1, 128, 8, 0, 1, 0, 10, 244, 0, 2, 8, 0, 2, 0, 10, 244, 0, 3, 28, 0, 2, 128, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 1, 2, 0, 0, 6, 0, 3, 0, 31, 144, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		// What the kernel would never say is an error or an odd flow, no panic.
		if flow, err := decodeFlow(data); err == nil && flow.isOpening() && !flow.isOpen() {
			t.Errorf("%+v is being made and has ended", flow)
		}
	})
}
