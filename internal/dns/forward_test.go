package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// upstream is a resolver that answers as a test wants.
type upstream struct {
	address string
	asked   atomic.Int32
	mu      sync.Mutex
	answer  func(w dns.ResponseWriter, request *dns.Msg)
}

func startUpstream(t *testing.T, answer func(w dns.ResponseWriter, request *dns.Msg)) *upstream {
	t.Helper()
	u := &upstream{answer: answer}
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.address = packets.LocalAddr().String()
	connections, err := net.Listen("tcp4", u.address)
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, request *dns.Msg) {
		u.asked.Add(1)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.answer(w, request)
	})
	var running sync.WaitGroup
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: connections, Handler: handler}} {
		running.Go(func() { server.ActivateAndServe() })
	}
	t.Cleanup(func() { packets.Close(); connections.Close(); running.Wait() })
	return u
}

// forwardTo makes a forwarder that asks these upstreams.
func forwardTo(upstreams ...*upstream) *forwarder {
	f := newForwarder("", localAddr)
	for _, u := range upstreams {
		f.fixed = append(f.fixed, u.address)
	}
	return f
}

func replyWith(text string) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, request *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(request)
		if text != "" {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			reply.Answer = []dns.RR{rr}
		}
		w.WriteMsg(reply)
	}
}

func silence(dns.ResponseWriter, *dns.Msg) {}

var example = dns.Question{Name: "example.org.", Qtype: dns.TypeA, Qclass: dns.ClassINET}

func TestAnswersAreKeptForTheirLifetime(t *testing.T) {
	u := startUpstream(t, replyWith("example.org. 20 IN A 192.0.2.1"))
	f := forwardTo(u)
	for range 3 {
		reply, err := f.exchange(example)
		if err != nil || len(reply.Answer) != 1 {
			t.Fatalf("%v, %v", reply, err)
		}
	}
	if n := u.asked.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times, want once", n)
	}
	now := time.Now()
	if kept := f.cache.get(example, now.Add(15*time.Second)); kept == nil || kept.Answer[0].Header().Ttl > 5 {
		t.Errorf("after 15 of 20 s: %v, want at most 5 s left", kept)
	}
	if kept := f.cache.get(example, now.Add(21*time.Second)); kept != nil {
		t.Errorf("after 21 of 20 s: %v, want nothing", kept)
	}
}

func TestDeadUpstreamIsLeftAlone(t *testing.T) {
	dead, alive := startUpstream(t, silence), startUpstream(t, replyWith("example.org. 0 IN A 192.0.2.1"))
	f := forwardTo(dead, alive)
	for range 3 {
		if _, err := f.exchange(example); err != nil {
			t.Fatal(err)
		}
	}
	if n := dead.asked.Load(); n != 1 {
		t.Errorf("the dead upstream was asked %d times, want once", n)
	}
	if awake := f.awake(time.Now().Add(restTime + time.Second)); len(awake) != 2 {
		t.Errorf("after a rest %v are asked, want both", awake)
	}
}

func TestEveryUpstreamDeadFailsAtOnce(t *testing.T) {
	dead := startUpstream(t, silence)
	f := forwardTo(dead)
	if _, err := f.exchange(example); err == nil {
		t.Fatal("an answer from silence")
	}
	for range 100 {
		if _, err := f.exchange(example); err == nil {
			t.Fatal("an answer from silence")
		}
	}
	if n := dead.asked.Load(); n != 1 {
		t.Errorf("the dead upstream was asked %d times in its rest, want once", n)
	}
}

func TestFailingUpstreamIsPassedOver(t *testing.T) {
	failing := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		reply := new(dns.Msg)
		w.WriteMsg(reply.SetRcode(request, dns.RcodeServerFailure))
	})
	good := startUpstream(t, replyWith("example.org. 20 IN A 192.0.2.1"))
	reply, err := forwardTo(failing, good).exchange(example)
	if err != nil || reply.Rcode != dns.RcodeSuccess {
		t.Errorf("%v, %v; want the answer of the second", reply, err)
	}
	reply, err = forwardTo(failing).exchange(example)
	if err != nil || reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v, %v; want what the only one says", reply, err)
	}
}

func TestLongAnswerComesByTCP(t *testing.T) {
	u := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(request)
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			reply.Truncated = true
		} else {
			for i := range 200 {
				rr, _ := dns.NewRR(fmt.Sprintf("example.org. 20 IN A 192.0.2.%d", i))
				reply.Answer = append(reply.Answer, rr)
			}
		}
		w.WriteMsg(reply)
	})
	reply, err := forwardTo(u).exchange(example)
	if err != nil || len(reply.Answer) != 200 {
		t.Errorf("%d records, %v; want 200", len(reply.Answer), err)
	}
}

func TestLongAnswerIsCutShortForUDP(t *testing.T) {
	u := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(request)
		for i := range 60 {
			rr, _ := dns.NewRR(fmt.Sprintf("example.org. 20 IN A 192.0.2.%d", i))
			reply.Answer = append(reply.Answer, rr)
		}
		reply.Compress = true
		w.WriteMsg(reply)
	})
	server := startServerWith(t, "/nonexistent", func(s *Server) { s.forward = forwardTo(u) })
	if reply := ask1(t, "udp", server, "example.org.", dns.TypeA); !reply.Truncated || len(reply.Answer) >= 60 {
		t.Errorf("by UDP: truncated=%v, %d records; want fewer than 60", reply.Truncated, len(reply.Answer))
	}
	if reply := ask1(t, "tcp", server, "example.org.", dns.TypeA); reply.Truncated || len(reply.Answer) != 60 {
		t.Errorf("by TCP: truncated=%v, %d records; want 60", reply.Truncated, len(reply.Answer))
	}
}

func TestExternalNameIsFollowed(t *testing.T) {
	u := startUpstream(t, replyWith("www.example.org. 20 IN A 192.0.2.1"))
	server := startServerWith(t, "/nonexistent", func(s *Server) { s.forward = forwardTo(u) })
	got := describe(ask1(t, "udp", server, "outside.default.svc.cluster.local.", dns.TypeA))
	want := `  NOERROR authoritative
  answer: outside.default.svc.cluster.local. 5 IN CNAME www.example.org.
  answer: www.example.org. 20 IN A 192.0.2.1
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestResolvConfIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(content string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	f := newForwarder(path, localAddr)
	now := time.Now()
	write("nameserver 192.0.2.53\nnameserver "+localAddr.String()+"\nnameserver 2001:db8::53\n", now)
	if got := fmt.Sprint(f.awake(now)); got != "[192.0.2.53:53 [2001:db8::53]:53]" {
		t.Errorf("upstreams %s, want all but ourselves", got)
	}
	write("nameserver 192.0.2.54\n", now.Add(time.Second))
	if got := fmt.Sprint(f.awake(now)); got != "[192.0.2.54:53]" {
		t.Errorf("upstreams %s, want the new one", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := f.awake(now); len(got) != 0 {
		t.Errorf("upstreams %s without a file", got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	a, now := newAnswers(), time.Now()
	for i := range 2 * maxAnswers {
		q := dns.Question{Name: fmt.Sprintf("%d.example.org.", i), Qtype: dns.TypeA, Qclass: dns.ClassINET}
		rr, _ := dns.NewRR(q.Name + " 20 IN A 192.0.2.1")
		a.put(q, &dns.Msg{Answer: []dns.RR{rr}}, now)
	}
	if n := len(a.kept); n > maxAnswers {
		t.Errorf("%d answers are kept, want at most %d", n, maxAnswers)
	}
}

func TestRefusesWhatIsNoQuestion(t *testing.T) {
	server := startServer(t, "/nonexistent")
	client := dns.Client{Timeout: 5 * time.Second}
	for name, test := range map[string]struct {
		request *dns.Msg
		want    int
	}{
		"an update":    {&dns.Msg{MsgHdr: dns.MsgHdr{Id: 1, Opcode: dns.OpcodeUpdate}, Question: []dns.Question{example}}, dns.RcodeNotImplemented},
		"no question":  {&dns.Msg{MsgHdr: dns.MsgHdr{Id: 1}}, dns.RcodeFormatError},
		"class CHAOS":  {&dns.Msg{MsgHdr: dns.MsgHdr{Id: 1}, Question: []dns.Question{{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}}}, dns.RcodeRefused},
		"no upstreams": {&dns.Msg{MsgHdr: dns.MsgHdr{Id: 1}, Question: []dns.Question{example}}, dns.RcodeServerFailure},
	} {
		reply, _, err := client.Exchange(test.request, server)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply.Rcode != test.want {
			t.Errorf("%s: %s, want %s", name, dns.RcodeToString[reply.Rcode], dns.RcodeToString[test.want])
		}
	}
}
