package dns

import (
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxAnswers bounds the memory of the cache, at about 1 KiB an answer.
	maxAnswers = 2048
	// maxAge bounds how long an answer is used, whatever its records allow:
	// the upstream, which usually is near, has a cache of its own.
	maxAge = 30 * time.Second
)

// answers remembers what upstreams said.
type answers struct {
	mu   sync.Mutex
	kept map[answerKey]answer
}

type answerKey struct {
	name        string
	kind, class uint16
}

type answer struct {
	msg         *dns.Msg
	since, ends time.Time
}

func newAnswers() *answers { return &answers{kept: map[answerKey]answer{}} }

func keyOf(q dns.Question) answerKey {
	return answerKey{strings.ToLower(q.Name), q.Qtype, q.Qclass}
}

// get is a copy of a kept answer, its times to live reduced by its age, or nil.
func (a *answers) get(question dns.Question, now time.Time) *dns.Msg {
	a.mu.Lock()
	found, ok := a.kept[keyOf(question)]
	a.mu.Unlock()
	if !ok || !now.Before(found.ends) {
		return nil
	}
	age := uint32(now.Sub(found.since) / time.Second)
	msg := found.msg.Copy()
	for _, rr := range append(msg.Answer, msg.Ns...) {
		rr.Header().Ttl -= min(rr.Header().Ttl, age)
	}
	return msg
}

// put keeps an answer that may be kept. When there is no room, whatever comes
// first goes.
func (a *answers) put(question dns.Question, msg *dns.Msg, now time.Time) {
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError || msg.Truncated {
		return
	}
	age := lifetime(msg)
	if age <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, old := range a.kept {
		if len(a.kept) < maxAnswers && now.Before(old.ends) {
			break
		}
		delete(a.kept, key)
	}
	a.kept[keyOf(question)] = answer{msg.Copy(), now, now.Add(age)}
}

// lifetime is the shortest of an answer's records. One that ends in nothing is
// kept as long as the zone's SOA allows (RFC 2308), and without that not at
// all.
func lifetime(msg *dns.Msg) time.Duration {
	age, known := maxAge, len(msg.Answer) > 0
	for _, rr := range msg.Answer {
		age = min(age, time.Duration(rr.Header().Ttl)*time.Second)
	}
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			age, known = min(age, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second), true
		}
	}
	if !known {
		return 0
	}
	return age
}
