package dns

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"k8s.io/client-go/kubernetes/fake"
)

// sink takes what a client would get.
type sink struct {
	dns.ResponseWriter
	t      *testing.T
	from   net.Addr
	packed []byte
}

func (s *sink) RemoteAddr() net.Addr { return s.from }

func (s *sink) WriteMsg(reply *dns.Msg) (err error) {
	s.packed, err = reply.Pack()
	return err
}

// known is a Server with the cluster of testObjects that asks nobody else.
func known(t testing.TB) *Server {
	t.Helper()
	server, err := New(Config{
		Client: fake.NewClientset(), Listen: netip.AddrPortFrom(localAddr, 53), ServiceIP: netip.MustParseAddr("10.96.0.10"),
		PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		ResolvConf: "/nonexistent", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	services, slices := testServices(), testSlices()
	for i := range services.Items {
		server.records.services.Add(&services.Items[i])
	}
	for i := range slices.Items {
		server.records.slices.Add(&slices.Items[i])
	}
	return server
}

// FuzzMessages sends whatever a Pod may send. What is a message gets an answer
// that is one, to the same question, and no longer than the client can take.
func FuzzMessages(f *testing.F) {
	questions, err := os.ReadFile("testdata/questions.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(questions)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		request := new(dns.Msg)
		request.SetQuestion(name, dns.StringToType[kind])
		if len(name)%2 == 0 {
			request.SetEdns0(uint16(40*len(name)), false)
		}
		packed, err := request.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, false)
		f.Add(packed[:len(packed)-3], true)
	}
	server := known(f)
	f.Fuzz(func(t *testing.T, packed []byte, tcp bool) {
		request := new(dns.Msg)
		if request.Unpack(packed) != nil {
			return // package dns answers that by itself
		}
		to := &sink{t: t, from: &net.UDPAddr{}}
		if tcp {
			to.from = &net.TCPAddr{}
		}
		server.ServeDNS(to, request)
		reply := new(dns.Msg)
		if err := reply.Unpack(to.packed); err != nil {
			t.Fatalf("%v\n%v", err, request)
		}
		if !reply.Response || reply.Id != request.Id {
			t.Errorf("not its answer: %v", reply)
		}
		if len(request.Question) == 1 && request.Opcode == dns.OpcodeQuery && (len(reply.Question) != 1 || reply.Question[0] != request.Question[0]) {
			t.Errorf("to another question: %v", reply)
		}
		limit := dns.MinMsgSize
		if opt := request.IsEdns0(); opt != nil {
			limit = max(limit, int(opt.UDPSize()))
		}
		if !tcp && len(to.packed) > limit {
			t.Errorf("%d bytes for a client that takes %d", len(to.packed), limit)
		}
	})
}

func TestExtensionsOfTheProtocol(t *testing.T) {
	server := known(t)
	ask := func(extend func(*dns.Msg)) *dns.Msg {
		request := new(dns.Msg)
		request.SetQuestion("http-go.default.svc.cluster.local.", dns.TypeA)
		extend(request)
		to := &sink{t: t, from: &net.UDPAddr{}}
		server.ServeDNS(to, request)
		reply := new(dns.Msg)
		if err := reply.Unpack(to.packed); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := ask(func(*dns.Msg) {}); reply.IsEdns0() != nil {
		t.Error("a client that knows no extensions is answered with one")
	}
	if reply := ask(func(m *dns.Msg) { m.SetEdns0(4096, false) }); reply.IsEdns0() == nil || reply.Rcode != dns.RcodeSuccess {
		t.Errorf("version 0: %v", reply)
	}
	if reply := ask(func(m *dns.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }); reply.Rcode != dns.RcodeBadVers || len(reply.Answer) > 0 {
		t.Errorf("version 1: %v", reply)
	}
}
