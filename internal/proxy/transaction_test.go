package proxy

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"

	"coxswain.dev/cox/internal/network/networktest"
	"coxswain.dev/cox/internal/routing"
)

// served has a Service of so many endpoints, and is asked all the time.
type served struct {
	kernel *kernel
	table  routing.Table
	server *networktest.Pod
	hammer *hammer
}

const mostEndpoints = 24

var webFrontend = routing.Frontend{Addr: netip.MustParseAddr("10.96.0.20"), Protocol: routing.TCP, Port: 80}

func serve(t *testing.T) *served {
	t.Helper()
	n := networktest.Setup(t)
	s := &served{server: n.NewPod(t, "server"), kernel: newKernel(Config{PodCIDR: n.PodCIDR, ServiceCIDR: n.ServiceCIDR, Gateway: n.Gateway()})}
	t.Cleanup(s.kernel.close)
	for i := range mostEndpoints {
		s.server.ServeNames(t, 8080+i)
	}
	s.put(1)
	if err := s.kernel.rebuild(&s.table, noGuards); err != nil {
		t.Fatal(err)
	}
	client := n.NewPod(t, "client")
	s.hammer = startHammer(webFrontend.Addr.String()+":80", client.Dial, fromHost)
	return s
}

// put gives the Service another number of endpoints.
func (s *served) put(endpoints int) []routing.Frontend {
	rule := routing.Rule{Frontend: webFrontend}
	for i := range endpoints {
		rule.Endpoints = append(rule.Endpoints, netip.AddrPortFrom(s.server.Addr, uint16(8080+i)))
	}
	return s.table.Put(routing.Owner{Kind: kindService, Name: "default/web"}, routing.Rules{rule})
}

func TestNewClassRefusesNobody(t *testing.T) {
	s := serve(t)
	for range 100 {
		for n := 2; n <= mostEndpoints; n++ {
			if err := s.kernel.update(&s.table, s.put(n), noGuards); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.kernel.update(&s.table, s.put(1), noGuards); err != nil {
			t.Fatal(err)
		}
		s.forgetClasses(t)
	}
	s.hammer.awaitAnswers(t, 1)
	s.hammer.stop(t)
}

// forgetClasses removes the chains of classes that are not used, so that they
// are new once more.
func (s *served) forgetClasses(t *testing.T) {
	t.Helper()
	for n := 2; n <= mostEndpoints; n++ {
		unused := class{endpoints: n}
		s.kernel.conn.DelChain(&nftables.Chain{Name: unused.chain(), Table: newTable()})
		delete(s.kernel.state.classes, unused)
	}
	if err := s.kernel.conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestRebuildRefusesNobody(t *testing.T) {
	s := serve(t)
	s.kernel.update(&s.table, s.put(3), noGuards)
	for range 1000 {
		if err := s.kernel.rebuild(&s.table, noGuards); err != nil {
			t.Fatal(err)
		}
	}
	s.hammer.awaitAnswers(t, 1)
	s.hammer.stop(t)
}
