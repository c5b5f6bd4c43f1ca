package dns

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const (
	// ttl is how many seconds a client may remember what a Service is called
	// or where it is, or that there is none.
	ttl = 5
	// fleetingTTL is the same for what is about endpoints, which come and go
	// with every Pod. A client that asks for a headless Service goes to the
	// Pod by itself, and no rule leads it elsewhere when the Pod stops: an
	// answer it remembers outlives the Pod. So it may use one once. Then a Pod
	// that left the answers has left for everybody, and Unrouted need not wait
	// until the last client has forgotten it.
	fleetingTTL = 0
)

// schemaVersion is of the specification that answers follow.
const schemaVersion = "1.1.0"

// zone knows which names of the cluster's domain have which records.
type zone struct {
	domain string
	// server is the address of ns.dns.<domain>.
	server  netip.Addr
	records lookup
}

// lookup finds the objects behind names.
type lookup interface {
	// service finds a Service and, if it is headless, its ready endpoints.
	service(namespace, name string) (service, bool)
	// hosts finds the ready endpoints of any Service, if the name below it is
	// of one.
	hosts(namespace, name string) []host
	// hasNamespace tells whether any Service is in a namespace.
	hasNamespace(namespace string) bool
	// named finds what an address is called: "<service>.<namespace>" for the
	// address of a Service, "<host>.<service>.<namespace>" for the ready
	// endpoint of a headless one, which is fleeting.
	named(addr netip.Addr) (names []string, fleeting bool)
}

// service is what DNS needs of a Service.
type service struct {
	// addr is the cluster address; invalid for a headless Service.
	addr netip.Addr
	// externalName makes all others meaningless.
	externalName string
	ports        []port
	// endpoints of a headless Service.
	endpoints []host
}

func (s service) headless() bool { return !s.addr.IsValid() }

type port struct {
	name, protocol string // protocol in lower case
	number         uint16
}

// host is an endpoint of a Service.
type host struct {
	// name is the hostname, or the address with dashes.
	name  string
	addr  netip.Addr
	ports []port
}

// answer fills the reply for a name of the zone, in canonical form. For an
// ExternalName it returns the name to go on with.
func (z *zone) answer(reply *dns.Msg, question dns.Question, name string) (target string) {
	reply.Authoritative = true
	rest := strings.TrimSuffix(strings.TrimSuffix(name, z.domain), ".")
	labels := strings.Split(rest, ".")
	if rest == "" {
		labels = nil
	}
	found, exists := z.find(labels)
	if found.externalName != "" {
		reply.Answer = []dns.RR{&dns.CNAME{Hdr: header(question.Name, dns.TypeCNAME), Target: dns.Fqdn(found.externalName)}}
		return dns.Fqdn(found.externalName)
	}
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	for _, rr := range found.rrs {
		if rr.Header().Rrtype == question.Qtype || question.Qtype == dns.TypeANY {
			rr.Header().Name = question.Name
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{z.soa()}
	} else if question.Qtype == dns.TypeSRV {
		reply.Extra = found.extra
	}
	if found.fleeting {
		forgetSoon(reply)
	}
	return ""
}

// forgetSoon marks everything in a reply as fleeting.
func forgetSoon(reply *dns.Msg) {
	for _, rrs := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		for _, rr := range rrs {
			rr.Header().Ttl = fleetingTTL
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Minttl = fleetingTTL
			}
		}
	}
}

// records of one name. Their owner names are filled in later.
type rrset struct {
	rrs, extra   []dns.RR
	externalName string
	// fleeting says that the records, or that there are none, are about
	// endpoints.
	fleeting bool
}

// find resolves the labels before the domain. A name exists without records
// if there are names below it.
func (z *zone) find(labels []string) (rrset, bool) {
	n := len(labels)
	switch {
	case n == 0:
		ns := &dns.NS{Hdr: header("", dns.TypeNS), Ns: "ns.dns." + z.domain}
		return rrset{rrs: []dns.RR{z.soa(), ns}}, true
	case n == 1 && labels[0] == "dns-version":
		return rrset{rrs: []dns.RR{&dns.TXT{Hdr: header("", dns.TypeTXT), Txt: []string{schemaVersion}}}}, true
	case n == 1 && labels[0] == "dns":
		return rrset{}, true
	case n == 2 && labels[1] == "dns" && labels[0] == "ns":
		return rrset{rrs: addresses(z.server)}, true
	case labels[n-1] == "pod":
		return z.findPod(labels[:n-1])
	case labels[n-1] == "svc":
		return z.findService(labels[:n-1])
	}
	return rrset{}, false
}

// findPod answers a-b-c-d.namespace.pod with the address in the name.
func (z *zone) findPod(labels []string) (rrset, bool) {
	switch len(labels) {
	case 0, 1:
		// There are names of Pods below, whatever the namespace is called.
		return rrset{}, true
	case 2:
		if addr, err := netip.ParseAddr(strings.ReplaceAll(labels[0], "-", ".")); err == nil && addr.Is4() {
			return rrset{rrs: addresses(addr)}, true
		}
	}
	return rrset{}, false
}

// findService answers for [_port._protocol | host].service.namespace.svc.
func (z *zone) findService(labels []string) (rrset, bool) {
	n := len(labels)
	switch n {
	case 0:
		return rrset{}, true
	case 1:
		return rrset{}, z.records.hasNamespace(labels[0])
	}
	namespace, name := labels[n-1], labels[n-2]
	s, found := z.records.service(namespace, name)
	if !found {
		return rrset{}, false
	}
	if s.externalName != "" {
		if n > 2 {
			return rrset{}, false
		}
		return rrset{externalName: s.externalName}, true
	}
	set, exists := rrset{}, false
	switch n {
	case 2:
		set, exists = rrset{rrs: addresses(s.addrs()...)}, !s.headless() || len(s.endpoints) > 0
	case 3:
		if !s.headless() {
			s.endpoints = z.records.hosts(namespace, name)
		}
		set, exists = findHost(s, labels[0])
	case 4:
		set, exists = findPort(s, labels[0], labels[1], name+"."+namespace+".svc."+z.domain)
	}
	set.fleeting = s.headless() || n == 3
	return set, exists
}

func findHost(s service, label string) (rrset, bool) {
	var found []netip.Addr
	for _, h := range s.endpoints {
		// One is in several slices if its ports differ from the others'.
		if h.name == label && !slices.Contains(found, h.addr) {
			found = append(found, h.addr)
		}
	}
	if len(found) > 0 {
		return rrset{rrs: addresses(found...)}, true
	}
	// _tcp.service… exists when a port is below it.
	for _, p := range s.allPorts() {
		if p.name != "" && "_"+p.protocol == label {
			return rrset{}, true
		}
	}
	return rrset{}, false
}

// findPort answers with one SRV record for a Service that has an address, and
// with one for each endpoint of a headless Service. A port without a name has
// none.
func findPort(s service, portLabel, protocolLabel, full string) (rrset, bool) {
	var set rrset
	named := map[string]bool{}
	add := func(p port, target string, addr netip.Addr) {
		if p.name == "" || "_"+p.name != portLabel || "_"+p.protocol != protocolLabel {
			return
		}
		set.rrs = append(set.rrs, &dns.SRV{Hdr: header("", dns.TypeSRV), Weight: 100, Port: p.number, Target: target})
		if key := target + addr.String(); !named[key] {
			named[key] = true
			extra := addresses(addr)[0]
			extra.Header().Name = target
			set.extra = append(set.extra, extra)
		}
	}
	if !s.headless() {
		for _, p := range s.ports {
			add(p, full, s.addr)
		}
		return set, len(set.rrs) > 0
	}
	for _, h := range s.endpoints {
		for _, p := range h.ports {
			add(p, h.name+"."+full, h.addr)
		}
	}
	return set, len(set.rrs) > 0
}

// answerReverse answers what an address of the cluster is called.
func (z *zone) answerReverse(reply *dns.Msg, question dns.Question, addr netip.Addr) {
	reply.Authoritative = true
	names, fleeting := z.records.named(addr)
	if len(names) == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	if question.Qtype == dns.TypePTR || question.Qtype == dns.TypeANY {
		for _, name := range names {
			reply.Answer = append(reply.Answer, &dns.PTR{Hdr: header(question.Name, dns.TypePTR), Ptr: name + ".svc." + z.domain})
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{z.soa()}
	}
	if fleeting {
		forgetSoon(reply)
	}
}

// soa lets clients remember for ttl seconds what there is not. The serial
// number is fixed: the zone is never transferred.
func (z *zone) soa() dns.RR {
	return &dns.SOA{
		Hdr: header(z.domain, dns.TypeSOA), Ns: "ns.dns." + z.domain, Mbox: "hostmaster." + z.domain,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
	}
}

func (s service) addrs() []netip.Addr {
	if !s.headless() {
		return []netip.Addr{s.addr}
	}
	var addrs []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, h := range s.endpoints {
		if !seen[h.addr] {
			seen[h.addr] = true
			addrs = append(addrs, h.addr)
		}
	}
	return addrs
}

func (s service) allPorts() []port {
	if !s.headless() {
		return s.ports
	}
	var ports []port
	for _, h := range s.endpoints {
		ports = append(ports, h.ports...)
	}
	return ports
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

func addresses(addrs ...netip.Addr) []dns.RR {
	rrs := make([]dns.RR, 0, len(addrs))
	for _, addr := range addrs {
		rrs = append(rrs, &dns.A{Hdr: header("", dns.TypeA), A: net.IP(addr.AsSlice())})
	}
	return rrs
}

// reverseAddr is the address that a name below in-addr.arpa asks about.
func reverseAddr(name string) (netip.Addr, bool) {
	rest, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	labels := strings.Split(rest, ".")
	if len(labels) != 4 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0])
	return addr, err == nil
}
