package routing_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"coxswain.dev/cox/internal/routing"
)

func TestCountGathersAndSorts(t *testing.T) {
	web, dns := netip.MustParseAddrPort("10.244.0.5:8080"), netip.MustParseAddrPort("10.244.0.2:53")
	got, err := json.Marshal(routing.NodeTraffic{Open: routing.Count(func(yield func(routing.Protocol, netip.AddrPort) bool) {
		_ = yield(routing.TCP, web) && yield(routing.UDP, dns) && yield(routing.TCP, web) && yield(routing.TCP, dns)
	}), Stopping: []string{"default/web"}})
	want := `{"open":[{"endpoint":"10.244.0.2:53","protocol":"tcp","count":1},{"endpoint":"10.244.0.2:53","protocol":"udp","count":1},` +
		`{"endpoint":"10.244.0.5:8080","protocol":"tcp","count":2}],"stopping":["default/web"]}`
	if err != nil || string(got) != want {
		t.Errorf("%s (%v)\nwant %s", got, err, want)
	}
}
