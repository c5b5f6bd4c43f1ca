package dns

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is how long an upstream may take before the next one is asked
	// as well, and before there are doubts whether it is alive.
	patience = 500 * time.Millisecond
	// maxUnderWay bounds what upstreams are being asked. One more is refused,
	// so that an upstream that is slow does not pile goroutines up.
	maxUnderWay = 512
)

// forwarder passes questions on to the resolvers of this machine.
type forwarder struct {
	conf  *resolvConf
	slots chan struct{}
	cache *answers
}

// newForwarder asks the resolvers that the file names, without our own
// addresses: that would go in circles.
func newForwarder(path string, log *slog.Logger, own ...netip.Addr) *forwarder {
	return &forwarder{conf: &resolvConf{path: path, own: own, log: log}, slots: make(chan struct{}, maxUnderWay), cache: newAnswers()}
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
	request := new(dns.Msg)
	request.SetQuestion(question.Name, question.Qtype)
	request.Question[0].Qclass = question.Qclass
	request.SetEdns0(dns.DefaultMsgSize, false)
	r := race{f: f, request: request, left: awake(f.conf.upstreams(), time.Now()), outcomes: make(chan outcome, maxUpstreams)}
	reply, err := r.run()
	if err != nil {
		return nil, err
	}
	f.cache.put(question, reply, time.Now())
	return reply, nil
}

// race asks one upstream after the other: the next when the one before has
// failed, or has not answered for a while. The first who knows wins.
type race struct {
	f        *forwarder
	request  *dns.Msg
	left     []*upstream
	asked    *upstream // the last one
	underway int
	outcomes chan outcome
}

// outcome is what an upstream said, or why it did not.
type outcome struct {
	reply *dns.Msg
	err   error
}

func (r *race) run() (*dns.Msg, error) {
	var failed *dns.Msg
	last := errNoUpstream
	waited := time.NewTimer(patience)
	defer waited.Stop()
	next := func() {
		if r.start() {
			waited.Reset(patience)
		}
	}
	next()
	for r.underway > 0 {
		select {
		case <-waited.C:
			r.asked.doubt()
			next()
		case said := <-r.outcomes:
			r.underway--
			switch {
			case said.err != nil:
				last = said.err
			case said.reply.Rcode == dns.RcodeServerFailure || said.reply.Rcode == dns.RcodeRefused:
				failed = said.reply // another may know better
			default:
				return said.reply, nil
			}
			next()
		}
	}
	if failed != nil {
		return failed, nil
	}
	return nil, last
}

// start asks the next upstream, if there is one left. It goes on after the
// race is over, and holds its slot as long.
func (r *race) start() bool {
	if len(r.left) == 0 {
		return false
	}
	r.asked, r.left = r.left[0], r.left[1:]
	r.underway++
	select {
	case r.f.slots <- struct{}{}:
	default:
		r.outcomes <- outcome{err: errBusy}
		return true
	}
	go func(u *upstream, request *dns.Msg) {
		defer func() { <-r.f.slots }()
		reply, err := u.ask(request)
		if err != nil {
			u.doubt()
		}
		r.outcomes <- outcome{reply, err}
	}(r.asked, r.request.Copy())
	return true
}
