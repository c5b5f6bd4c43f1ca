package proxy

import (
	"testing"
)

func TestClusterIPBalancesOverEndpoints(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a, b)
	c.awaitOffered(a.Addr)

	for name, dial := range map[string]dialer{"from a Pod": client.Dial, "from the host": fromHost} {
		t.Run(name, func(t *testing.T) {
			for _, network := range []string{"tcp", "udp"} {
				answers := map[string]int{}
				const tries = 200
				for range tries {
					server, _ := mustAsk(t, dial, network, "10.96.0.20:80")
					answers[server]++
				}
				// Of 200 fair coins fewer than 60 heads is one in a hundred million.
				if answers["a"] < 60 || answers["b"] < 60 || answers["a"]+answers["b"] != tries {
					t.Errorf("%s: %v answered, want about %d each", network, answers, tries/2)
				}
			}
		})
	}
}
