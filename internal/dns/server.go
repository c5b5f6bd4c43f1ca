package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Config is what a Server works with.
type Config struct {
	// Client reaches the API. It is not used when Informers is set.
	Client kubernetes.Interface
	// Informers may be shared with others; nil makes our own from Client.
	Informers informers.SharedInformerFactory
	// Listen is where Pods' questions arrive, on UDP and TCP.
	Listen netip.AddrPort
	// ServiceIP is the address of the Service kube-dns, which the zone names
	// as its server.
	ServiceIP netip.Addr
	// Domain is the cluster's, "cluster.local" if empty.
	Domain string
	// PodCIDR and ServiceCIDR are ranges whose names nobody else knows.
	PodCIDR, ServiceCIDR netip.Prefix
	// ResolvConf names the resolvers of this machine, "/etc/resolv.conf" if
	// empty.
	ResolvConf string
	// Logger is told about what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

// Server answers questions.
type Server struct {
	config  Config
	log     *slog.Logger
	records *records
	zone    *zone
	forward *forwarder
}

// New prepares a Server. Nothing happens before Run.
func New(config Config) (*Server, error) {
	if config.Client == nil && config.Informers == nil {
		return nil, errors.New("dns: a client or informers are needed")
	}
	if !config.Listen.IsValid() {
		return nil, fmt.Errorf("dns: %q is no address to listen on", config.Listen)
	}
	if config.Informers == nil {
		config.Informers = informers.NewSharedInformerFactory(config.Client, 0)
	}
	config.Domain = dns.CanonicalName(cmp.Or(config.Domain, "cluster.local"))
	config.ResolvConf = cmp.Or(config.ResolvConf, "/etc/resolv.conf")
	records, err := newRecords(config.Informers)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	log := cmp.Or(config.Logger, slog.Default())
	return &Server{
		config:  config,
		log:     log,
		records: records,
		zone:    &zone{domain: config.Domain, server: config.ServiceIP, records: records},
		forward: newForwarder(config.ResolvConf, log, config.Listen.Addr(), config.ServiceIP),
	}, nil
}

// Run answers until ctx ends. It returns an error if it cannot listen.
func (s *Server) Run(ctx context.Context) error {
	s.config.Informers.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), s.records.synced...) {
		return nil
	}
	address := s.config.Listen.String()
	packets, err := net.ListenPacket("udp4", address)
	if err != nil {
		return s.listenError("UDP", err)
	}
	connections, err := net.Listen("tcp4", address)
	if err != nil {
		packets.Close()
		return s.listenError("TCP", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: s, UDPSize: dns.DefaultMsgSize},
		{Listener: connections, Handler: s, MaxTCPQueries: maxTCPQueries},
	} {
		group.Go(func() error {
			err := server.ActivateAndServe()
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	group.Go(func() error {
		<-groupCtx.Done()
		return errors.Join(packets.Close(), connections.Close())
	})
	return group.Wait()
}

// maxTCPQueries bounds what one connection may ask before it must reconnect.
const maxTCPQueries = 1024

func (s *Server) listenError(protocol string, err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("dns: %s %s is in use: another DNS server listens on all addresses of this machine (`ss -lnp 'sport = :53'` shows it); let it listen on its own only", protocol, s.config.Listen)
	}
	return fmt.Errorf("dns: listening on %s %s: %w", protocol, s.config.Listen, err)
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, request *dns.Msg) {
	reply := s.answer(request)
	size := dns.MinMsgSize
	if opt := request.IsEdns0(); opt != nil {
		size = min(max(size, int(opt.UDPSize())), dns.DefaultMsgSize)
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
	reply.Compress = true
	if err := w.WriteMsg(reply); err != nil {
		s.log.Debug("a DNS answer could not be sent", "to", w.RemoteAddr(), "error", err)
	}
}

// answer makes the reply to a request, without what depends on the transport.
func (s *Server) answer(request *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	switch {
	case request.Opcode != dns.OpcodeQuery:
		return reply.SetRcode(request, dns.RcodeNotImplemented)
	case len(request.Question) != 1:
		return reply.SetRcodeFormatError(request)
	}
	if opt := request.IsEdns0(); opt != nil && opt.Version() != 0 {
		return reply.SetRcode(request, dns.RcodeBadVers) // RFC 6891, 6.1.3
	}
	reply.SetReply(request)
	reply.RecursionAvailable = true
	question := request.Question[0]
	name := dns.CanonicalName(question.Name)
	switch {
	case question.Qclass != dns.ClassINET && question.Qclass != dns.ClassANY:
		reply.Rcode = dns.RcodeRefused
	case dns.IsSubDomain(s.config.Domain, name):
		s.answerZone(reply, question, name)
	default:
		if addr, ok := reverseAddr(name); ok && (s.config.PodCIDR.Contains(addr) || s.config.ServiceCIDR.Contains(addr)) {
			s.zone.answerReverse(reply, question, addr)
			return reply
		}
		s.forwardTo(reply, request)
	}
	return reply
}

// maxAliases bounds how many ExternalNames are followed: they may lead in a
// circle.
const maxAliases = 8

// answerZone answers for the cluster's domain. The target of an ExternalName
// is looked up too, as most clients do not go on by themselves; the reply's
// code is what the last of them has (RFC 6604).
func (s *Server) answerZone(reply *dns.Msg, question dns.Question, name string) {
	target := s.zone.answer(reply, question, name)
	if question.Qtype == dns.TypeCNAME || question.Qtype == dns.TypeANY {
		return
	}
	for range maxAliases {
		if target == "" {
			return
		}
		follow, further := new(dns.Msg), new(dns.Msg)
		follow.SetQuestion(target, question.Qtype)
		further.SetReply(follow)
		if name := dns.CanonicalName(target); dns.IsSubDomain(s.config.Domain, name) {
			target = s.zone.answer(further, follow.Question[0], name)
		} else {
			s.forwardTo(further, follow)
			target = ""
		}
		reply.Answer = append(reply.Answer, further.Answer...)
		reply.Rcode, reply.Ns, reply.Extra = further.Rcode, further.Ns, further.Extra
	}
	if target != "" {
		reply.Rcode = dns.RcodeServerFailure
	}
}

func (s *Server) forwardTo(reply, request *dns.Msg) {
	found, err := s.forward.exchange(request.Question[0])
	if err != nil {
		s.log.Debug("a DNS question could not be passed on", "name", request.Question[0].Name, "error", err)
		reply.Rcode = dns.RcodeServerFailure
		return
	}
	reply.Authoritative = false
	reply.Rcode = found.Rcode
	reply.Answer, reply.Ns = found.Answer, found.Ns
}
