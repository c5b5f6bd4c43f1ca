package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// upstreamTimeout bounds one question to one upstream.
	upstreamTimeout = 2 * time.Second
	// restTime is how long an upstream that did not answer is left alone.
	restTime = 5 * time.Second
	// maxUnderWay bounds questions being passed on. One more is refused, so
	// that an upstream that is slow does not pile goroutines up.
	maxUnderWay = 512
	// maxUpstreams is what resolv.conf(5) allows.
	maxUpstreams = 3
)

// forwarder passes questions on to the resolvers of this machine.
type forwarder struct {
	resolvConf string
	// own is not passed to: that would go in circles.
	own netip.Addr
	// fixed are asked instead of what the file names, if there are any.
	fixed []string
	slots chan struct{}
	cache *answers

	mu        sync.Mutex
	modified  time.Time
	upstreams []string
	// resting says until when an upstream is left alone.
	resting map[string]time.Time
}

func newForwarder(resolvConf string, own netip.Addr) *forwarder {
	return &forwarder{resolvConf: resolvConf, own: own, slots: make(chan struct{}, maxUnderWay), cache: newAnswers(), resting: map[string]time.Time{}}
}

var (
	errNoUpstream = errors.New("no upstream answers")
	errBusy       = errors.New("too many questions are under way")
)

// exchange answers from the cache, or asks the upstreams in their order.
func (f *forwarder) exchange(question dns.Question) (*dns.Msg, error) {
	if found := f.cache.get(question, time.Now()); found != nil {
		return found, nil
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil, errBusy
	}
	request := new(dns.Msg)
	request.SetQuestion(question.Name, question.Qtype)
	request.Question[0].Qclass = question.Qclass
	request.SetEdns0(dns.DefaultMsgSize, false)
	var failed *dns.Msg
	last := errNoUpstream
	for _, upstream := range f.awake(time.Now()) {
		reply, err := ask(request, upstream)
		if err != nil {
			f.rest(upstream, time.Now())
			last = err
			continue
		}
		if reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeRefused {
			// Another may know better.
			failed = reply
			continue
		}
		f.cache.put(question, reply, time.Now())
		return reply, nil
	}
	if failed != nil {
		return failed, nil
	}
	return nil, last
}

// ask goes on by TCP when an answer was cut short.
func ask(request *dns.Msg, upstream string) (*dns.Msg, error) {
	client := dns.Client{Net: "udp", Timeout: upstreamTimeout}
	reply, _, err := client.Exchange(request, upstream)
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		if whole, _, err := client.Exchange(request, upstream); err == nil {
			reply = whole
		}
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", upstream, err)
	}
	return reply, nil
}

// awake are the upstreams worth asking now.
func (f *forwarder) awake(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readConf()
	var awake []string
	for _, upstream := range f.upstreams {
		if now.After(f.resting[upstream]) {
			awake = append(awake, upstream)
		}
	}
	return awake
}

func (f *forwarder) rest(upstream string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resting[upstream] = now.Add(restTime)
}

// readConf reads the file again when it has changed.
func (f *forwarder) readConf() {
	if f.fixed != nil {
		f.upstreams = f.fixed
		return
	}
	info, err := os.Stat(f.resolvConf)
	if err != nil {
		f.upstreams, f.modified = nil, time.Time{}
		return
	}
	if info.ModTime().Equal(f.modified) {
		return
	}
	conf, err := dns.ClientConfigFromFile(f.resolvConf)
	if err != nil {
		f.upstreams = nil
		return
	}
	f.modified, f.upstreams = info.ModTime(), nil
	clear(f.resting)
	for _, server := range conf.Servers {
		if addr, err := netip.ParseAddr(server); err != nil || addr == f.own || len(f.upstreams) == maxUpstreams {
			continue
		}
		f.upstreams = append(f.upstreams, net.JoinHostPort(server, conf.Port))
	}
}
