package dns

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// resolver is an upstream that answers as a test wants.
type resolver struct {
	address string
	asked   atomic.Int32
	mu      sync.Mutex
	answer  func(w dns.ResponseWriter, request *dns.Msg)
}

func startUpstream(t *testing.T, answer func(w dns.ResponseWriter, request *dns.Msg)) *resolver {
	t.Helper()
	u := &resolver{answer: answer}
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
func forwardTo(upstreams ...*resolver) *forwarder {
	f := newForwarder("", slog.Default(), localAddr)
	for _, u := range upstreams {
		f.conf.listed = append(f.conf.listed, &upstream{address: u.address})
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

// judge waits until what is known of the upstream in one place is settled.
func judge(f *forwarder, at int) { <-f.conf.listed[at].doubt() }

func TestDeadUpstreamIsLeftAlone(t *testing.T) {
	dead, alive := startUpstream(t, silence), startUpstream(t, replyWith("example.org. 0 IN A 192.0.2.1"))
	f := forwardTo(dead, alive)
	began := time.Now()
	if _, err := f.exchange(example); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < patience {
		t.Errorf("the second was asked after %v, want %v", took, patience)
	}
	judge(f, 0)
	before := dead.asked.Load()
	for range 3 {
		if _, err := f.exchange(example); err != nil {
			t.Fatal(err)
		}
	}
	if n := dead.asked.Load() - before; n > 0 {
		t.Errorf("the dead upstream was asked %d times in its rest", n)
	}
}

func TestUpstreamThatIsBackIsAskedAgain(t *testing.T) {
	u := startUpstream(t, silence)
	f := forwardTo(u)
	judge(f, 0)
	if _, err := f.exchange(example); !errors.Is(err, errNoUpstream) {
		t.Fatalf("in its rest: %v, want %v", err, errNoUpstream)
	}
	u.mu.Lock()
	u.answer = replyWith("example.org. 0 IN A 192.0.2.1")
	u.mu.Unlock()
	all := f.conf.listed
	if alive := awake(all, time.Now()); len(alive) > 0 {
		t.Error("it is asked before its rest is over")
	}
	if alive := awake(all, time.Now().Add(restTime+time.Second)); len(alive) != 1 {
		t.Error("it is not asked after its rest")
	}
	if _, err := f.exchange(example); err != nil {
		t.Error(err)
	}
}

// While one that rests is looked at, whoever can ask another does not wait.
func TestNobodyWaitsForTheOneWhoRests(t *testing.T) {
	dead, alive := startUpstream(t, silence), startUpstream(t, replyWith("example.org. 0 IN A 192.0.2.1"))
	f := forwardTo(dead, alive)
	judge(f, 0)
	at := time.Now().Add(restTime + time.Second)
	if got := awake(f.conf.listed, at); len(got) != 1 || got[0] != f.conf.listed[1] {
		t.Errorf("%d are asked, want the second alone", len(got))
	}
	judge(f, 0)
}

func TestEveryUpstreamDeadFailsAtOnce(t *testing.T) {
	dead := startUpstream(t, silence)
	f := forwardTo(dead)
	if _, err := f.exchange(example); err == nil {
		t.Fatal("an answer from silence")
	}
	judge(f, 0)
	before := dead.asked.Load()
	for range 100 {
		if _, err := f.exchange(example); err == nil {
			t.Fatal("an answer from silence")
		}
	}
	if n := dead.asked.Load() - before; n > 0 {
		t.Errorf("the dead upstream was asked %d times in its rest", n)
	}
}

// One who does not find a name is not dead: others are still looked up.
func TestUnansweredNameDoesNotCondemnTheUpstream(t *testing.T) {
	u := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		if request.Question[0].Name != "broken.example." {
			replyWith("example.org. 0 IN A 192.0.2.1")(w, request)
		}
	})
	f := forwardTo(u)
	broken := dns.Question{Name: "broken.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
	if _, err := f.exchange(broken); err == nil {
		t.Fatal("an answer from silence")
	}
	judge(f, 0)
	if _, err := f.exchange(example); err != nil {
		t.Errorf("another name: %v", err)
	}
}

func TestLostDatagramIsSentAgain(t *testing.T) {
	var lost atomic.Bool
	u := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		if request.Question[0].Name == example.Name && !lost.Swap(true) {
			return
		}
		replyWith("example.org. 0 IN A 192.0.2.1")(w, request)
	})
	if _, err := forwardTo(u).exchange(example); err != nil {
		t.Error(err)
	}
}

func TestUnreachableUpstreamCostsNoWait(t *testing.T) {
	gone, alive := startUpstream(t, silence), startUpstream(t, replyWith("example.org. 0 IN A 192.0.2.1"))
	f := forwardTo(gone, alive)
	f.conf.listed[0].address = freePort(t).String() // nobody listens there
	began := time.Now()
	if _, err := f.exchange(example); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("took %v, want less than %v", took, patience)
	}
}

func TestAnswerToAnotherQuestionIsRefused(t *testing.T) {
	u := startUpstream(t, func(w dns.ResponseWriter, request *dns.Msg) {
		request.Question[0].Name = "elsewhere.example."
		replyWith("elsewhere.example. 20 IN A 192.0.2.66")(w, request)
	})
	if reply, err := forwardTo(u).exchange(example); err == nil {
		t.Errorf("accepted %v", reply)
	}
}

func TestQuestionsUnderWayAreBounded(t *testing.T) {
	f := forwardTo(startUpstream(t, replyWith("example.org. 20 IN A 192.0.2.1")))
	for range maxUnderWay {
		f.slots <- struct{}{}
	}
	if _, err := f.exchange(example); !errors.Is(err, errBusy) {
		t.Errorf("%v, want %v", err, errBusy)
	}
	<-f.slots
	if _, err := f.exchange(example); err != nil {
		t.Error(err)
	}
}

func TestNothingIsKeptAsLongAsTheZoneAllows(t *testing.T) {
	soa := "example.org. 3600 IN SOA ns.example.org. admin.example.org. 1 2 3 4 7"
	for name, test := range map[string]struct {
		answer, authority string
		want              time.Duration
	}{
		"no such name":           {"", soa, 7 * time.Second},
		"no SOA":                 {"", "", 0},
		"an alias of nothing":    {"example.org. 20 IN CNAME www.example.org.", soa, 7 * time.Second},
		"a short alias of that":  {"example.org. 3 IN CNAME www.example.org.", soa, 3 * time.Second},
		"something that is long": {"example.org. 3600 IN A 192.0.2.1", "", maxAge},
	} {
		msg := new(dns.Msg)
		for text, section := range map[string]*[]dns.RR{test.answer: &msg.Answer, test.authority: &msg.Ns} {
			if rr, err := dns.NewRR(text); err != nil {
				t.Fatal(err)
			} else if rr != nil {
				*section = append(*section, rr)
			}
		}
		if got := lifetime(msg); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
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
	f := newForwarder(path, slog.Default(), localAddr, netip.MustParseAddr("10.96.0.10"))
	listed := func() string {
		var all []string
		for _, u := range f.conf.upstreams() {
			all = append(all, u.address)
		}
		return strings.Join(all, " ")
	}
	now := time.Now()
	write("nameserver 192.0.2.53\nnameserver "+localAddr.String()+"\nnameserver 10.96.0.10\nnameserver 2001:db8::53\n", now)
	if got := listed(); got != "192.0.2.53:53 [2001:db8::53]:53" {
		t.Errorf("upstreams %s, want all but ourselves", got)
	}
	write("nameserver 127.0.0.53\n", now.Add(time.Second))
	if got := listed(); got != "127.0.0.53:53" {
		t.Errorf("upstreams %s, want the new one", got)
	}
	write("nameserver "+localAddr.String()+"\n", now.Add(2*time.Second))
	if got := listed(); got != "" {
		t.Errorf("upstreams %s, want none: it leads back to us", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := listed(); got != "" {
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
