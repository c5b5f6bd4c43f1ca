package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"coxswain.dev/cox/internal/controllers"
	"coxswain.dev/cox/internal/cri"
)

// Defaults of the flags that every command shares.
const (
	DefaultDataDir      = "/var/lib/coxswain"
	DefaultRunDir       = "/run/coxswain"
	DefaultListen       = "127.0.0.1:6443"
	DefaultKubeconfig   = "/etc/coxswain/admin.kubeconfig"
	DefaultPodCIDR      = "10.244.0.0/16"
	DefaultServiceCIDR  = "10.96.0.0/12"
	DefaultIngressHTTP  = ":80"
	DefaultIngressHTTPS = ":443"
	ClusterDomain       = "cluster.local"
)

// Config is everything that can be set from outside. Its zero value is not
// usable: AddFlags fills in the defaults.
type Config struct {
	// DataDir holds what must survive a reboot, RunDir sockets and pid files.
	DataDir, RunDir string
	// Listen is host:port of the API. It is also served on the Pods' gateway
	// address, with the same port.
	Listen string
	// Kubeconfig is where the administrator's kubeconfig is written (0600).
	Kubeconfig string
	// MergeKubeconfig adds a context "coxswain" to the caller's own
	// kubeconfig. It is off when Kubeconfig is not the default.
	MergeKubeconfig bool
	// PodCIDR and ServiceCIDR are IPv4 prefixes, PodCIDR /16 to /28 and
	// ServiceCIDR /8 to /28; they must not overlap.
	PodCIDR, ServiceCIDR string
	// IngressHTTP and IngressHTTPS are host:port of the front for Ingresses,
	// ":port" for all addresses of this machine. Empty switches one off, both
	// the whole front.
	IngressHTTP, IngressHTTPS string
	// LoadBalancerPool are the addresses that LoadBalancer Services get, as
	// prefixes, ranges and single addresses; empty means the machine's own.
	LoadBalancerPool string
	// RegistryMirrors are NAME=URL pairs, such as
	// docker.io=http://127.0.0.1:5000.
	RegistryMirrors []string
	// RuntimeEndpoint is the socket of a CRI runtime that somebody else runs;
	// empty starts our own containerd.
	RuntimeEndpoint string
	// BinDir holds containerd, its shim, runc, cox-cni and pause.tar; empty
	// means the directory of the running executable.
	BinDir string
	// NodeName is the name of this machine's Node; empty means the host name.
	NodeName string
	// LogLevel is debug, info, warn or error.
	LogLevel string
	// StopAtOnce stops Pods without waiting until nobody is led to them any
	// more. It is only there to compare with.
	StopAtOnce bool
	// Version is what `cox version` prints and the API server reports.
	Version string
}

// AddFlags registers the flags shared by every command that works on an
// instance.
func (c *Config) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.DataDir, "data-dir", DefaultDataDir, "`directory` for what must survive a reboot")
	flags.StringVar(&c.RunDir, "run-dir", DefaultRunDir, "`directory` for sockets and pid files")
	flags.StringVar(&c.Listen, "listen", DefaultListen, "`host:port` on which the API is served")
	flags.StringVar(&c.Kubeconfig, "kubeconfig", DefaultKubeconfig, "`file` for the administrator's kubeconfig")
	flags.StringVar(&c.RuntimeEndpoint, "container-runtime-endpoint", "", "CRI `socket` of a runtime you run yourself (default: our own containerd)")
	flags.StringVar(&c.BinDir, "bin-dir", "", "`directory` with containerd, its shim, runc and cox-cni (default: beside cox)")
}

// AddUpFlags registers the flags that only matter when an instance starts.
func (c *Config) AddUpFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.PodCIDR, "pod-cidr", DefaultPodCIDR, "IPv4 `prefix` that Pods get addresses from")
	flags.StringVar(&c.ServiceCIDR, "service-cidr", DefaultServiceCIDR, "IPv4 `prefix` that Services get addresses from")
	flags.StringVar(&c.IngressHTTP, "ingress-http", DefaultIngressHTTP, "`host:port` on which Ingresses are served, without a host on all addresses; empty for not at all")
	flags.StringVar(&c.IngressHTTPS, "ingress-https", DefaultIngressHTTPS, "`host:port` on which Ingresses are served by TLS; empty for not at all")
	flags.StringVar(&c.LoadBalancerPool, "load-balancer-pool", "", "IPv4 `addresses` of which each LoadBalancer Service gets one, such as 192.0.2.16/28,192.0.2.40-192.0.2.50; this machine answers for them (default: all get the machine's own addresses)")
	flags.StringArrayVar(&c.RegistryMirrors, "registry-mirror", nil, "pull from another place, `NAME=URL` such as docker.io=http://127.0.0.1:5000 (repeatable)")
	flags.BoolVar(&c.MergeKubeconfig, "merge-kubeconfig", true, "add a context \"coxswain\" to your own kubeconfig (only with the default --kubeconfig)")
	flags.StringVar(&c.LogLevel, "log-level", "warn", "how much is logged to standard error: debug, info, warn or error (`level`)")
	flags.BoolVar(&c.StopAtOnce, "stop-at-once", false, "stop Pods without waiting for their Services and connections, only to compare with")
	if err := flags.MarkHidden("stop-at-once"); err != nil {
		panic(err) // it is defined a line above
	}
	flags.StringVar(&c.NodeName, "node-name", "", "`name` of this machine's Node (default: the host name)")
}

// parsed is a Config whose texts have been understood.
type parsed struct {
	Config
	pods, services netip.Prefix
	// gateway is the first address of the Pods' prefix, dns the tenth of the
	// Services', kubernetes its first.
	gateway, dns, kubernetes netip.Addr
	port                     int
	pool                     controllers.AddressPool
	mirrors                  []cri.Mirror
}

// parse checks every value, and names the flag of each that is wrong.
func (c Config) parse() (parsed, error) {
	p := parsed{Config: c}
	var errs []error
	p.pods = parsePrefix("--pod-cidr", c.PodCIDR, 16, 28, &errs)
	p.services = parsePrefix("--service-cidr", c.ServiceCIDR, 8, 28, &errs)
	if p.pods.IsValid() && p.services.IsValid() {
		if p.pods.Overlaps(p.services) {
			errs = append(errs, fmt.Errorf("--pod-cidr %s and --service-cidr %s overlap: choose two separate ranges", p.pods, p.services))
		}
		p.gateway = p.pods.Addr().Next()
		p.kubernetes = p.services.Addr().Next()
		p.dns = nth(p.services.Addr(), 10)
	}
	if _, port, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen %q is not host:port (for example %s)", c.Listen, DefaultListen))
	} else if p.port, err = strconv.Atoi(port); err != nil || p.port < 1 || p.port > 65535 {
		errs = append(errs, fmt.Errorf("--listen %q: the port must be a number from 1 to 65535", c.Listen))
	}
	p.parsePool(&errs)
	checkIngress("--ingress-http", c.IngressHTTP, &errs)
	checkIngress("--ingress-https", c.IngressHTTPS, &errs)
	for _, text := range c.RegistryMirrors {
		mirror, err := cri.ParseMirror(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--registry-mirror: %w", err))
			continue
		}
		p.mirrors = append(p.mirrors, mirror)
	}
	for _, dir := range []struct {
		flag string
		path *string
	}{{"--data-dir", &p.DataDir}, {"--run-dir", &p.RunDir}, {"--kubeconfig", &p.Kubeconfig}} {
		absolute, err := filepath.Abs(*dir.path)
		if *dir.path == "" || err != nil {
			errs = append(errs, fmt.Errorf("%s %q is not a usable path", dir.flag, *dir.path))
		}
		*dir.path = absolute
	}
	if err := p.fillIn(); err != nil {
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// parseShared is parse for a command that has only the shared flags.
func (c Config) parseShared() (parsed, error) {
	c.PodCIDR, c.ServiceCIDR = DefaultPodCIDR, DefaultServiceCIDR
	return c.parse()
}

func (p parsed) engineConfig() cri.Config {
	return cri.Config{
		BinDir:    p.BinDir,
		DataDir:   p.DataDir,
		RunDir:    p.RunDir,
		Endpoint:  p.RuntimeEndpoint,
		Mirrors:   p.mirrors,
		PodLabels: p.podLabels(),
	}
}

// podLabels tell this instance's sandboxes from those of others on a runtime
// that is shared.
func (p parsed) podLabels() map[string]string {
	return map[string]string{"coxswain.dev/data-dir": p.DataDir}
}

// fillIn finds the values that depend on the machine.
func (p *parsed) fillIn() error {
	if p.BinDir == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding the directory of cox: %w; give it with --bin-dir", err)
		}
		p.BinDir = filepath.Dir(self)
	}
	if p.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("reading the host name: %w; give one with --node-name", err)
		}
		p.NodeName = nodeName(name)
	}
	if wrong := validation.IsDNS1123Subdomain(p.NodeName); len(wrong) > 0 {
		return fmt.Errorf("--node-name %q: %s", p.NodeName, strings.Join(wrong, "; "))
	}
	return nil
}

// parsePool checks which addresses LoadBalancer Services are to get.
func (p *parsed) parsePool(errs *[]error) {
	pool, err := controllers.ParseAddressPool(p.LoadBalancerPool)
	if err != nil {
		*errs = append(*errs, fmt.Errorf("--load-balancer-pool: %w", err))
	}
	for _, other := range []struct {
		flag   string
		prefix netip.Prefix
	}{{"--pod-cidr", p.pods}, {"--service-cidr", p.services}} {
		if other.prefix.IsValid() && pool.Overlaps(other.prefix) {
			*errs = append(*errs, fmt.Errorf("--load-balancer-pool %s and %s %s overlap: choose addresses of the network that this machine is on", pool, other.flag, other.prefix))
		}
	}
	p.pool = pool
}

// checkIngress checks where the front for Ingresses is to listen.
func checkIngress(flag, text string, errs *[]error) {
	if text == "" {
		return
	}
	host, port, err := net.SplitHostPort(text)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || number == 0 {
		*errs = append(*errs, fmt.Errorf("%s %q is not host:port (for example %s)", flag, text, DefaultIngressHTTP))
	} else if _, err := netip.ParseAddr(host); host != "" && err != nil {
		*errs = append(*errs, fmt.Errorf("%s %q: the host must be an IP address of this machine, or left out", flag, text))
	}
}

func parsePrefix(flag, text string, least, most int, errs *[]error) netip.Prefix {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !prefix.Addr().Is4():
		*errs = append(*errs, fmt.Errorf("%s %q is not an IPv4 prefix (for example %s)", flag, text, DefaultPodCIDR))
	case prefix.Bits() < least || prefix.Bits() > most:
		*errs = append(*errs, fmt.Errorf("%s %s: the prefix length must be from /%d to /%d", flag, text, least, most))
	default:
		return prefix.Masked()
	}
	return netip.Prefix{}
}

func nth(addr netip.Addr, n int) netip.Addr {
	for range n {
		addr = addr.Next()
	}
	return addr
}
