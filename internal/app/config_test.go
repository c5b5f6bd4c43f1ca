package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parseArgs is what `cox up` makes of its arguments.
func parseArgs(t *testing.T, args ...string) (parsed, error) {
	t.Helper()
	var config Config
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	config.AddFlags(flags)
	config.AddUpFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.parse()
}

func TestDefaultsAreUnderstood(t *testing.T) {
	p, err := parseArgs(t)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{p.pods.String(), p.services.String(), p.gateway.String(), p.kubernetes.String(), p.dns.String(), p.DataDir}
	want := []string{"10.244.0.0/16", "10.96.0.0/12", "10.244.0.1", "10.96.0.1", "10.96.0.10", "/var/lib/coxswain"}
	for n := range want {
		if got[n] != want[n] {
			t.Errorf("value %d is %s, want %s", n, got[n], want[n])
		}
	}
	if p.port != 6443 || p.NodeName == "" || p.BinDir == "" {
		t.Errorf("port %d, node %q, programs in %q", p.port, p.NodeName, p.BinDir)
	}
}

func TestAddressesFollowTheRanges(t *testing.T) {
	p, err := parseArgs(t, "--pod-cidr=172.20.9.7/20", "--service-cidr=192.168.200.0/24", "--listen=:7443", "--data-dir=data")
	if err != nil {
		t.Fatal(err)
	}
	if p.pods.String() != "172.20.0.0/20" || p.gateway.String() != "172.20.0.1" || p.dns.String() != "192.168.200.10" || p.port != 7443 {
		t.Errorf("Pods %s with gateway %s, names at %s, port %d", p.pods, p.gateway, p.dns, p.port)
	}
	if !strings.HasPrefix(p.DataDir, "/") {
		t.Errorf("the data directory %q depends on where cox was started", p.DataDir)
	}
}

func TestBadValuesNameTheirFlag(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"no prefix":             {[]string{"--pod-cidr=10.0.0.1"}, []string{`--pod-cidr "10.0.0.1" is not an IPv4 prefix`}},
		"IPv6":                  {[]string{"--service-cidr=fd00::/108"}, []string{`--service-cidr "fd00::/108" is not an IPv4 prefix`}},
		"a pool that is none":   {[]string{"--load-balancer-pool=192.0.2.9-192.0.2.1"}, []string{"--load-balancer-pool: the range 192.0.2.9-192.0.2.1 ends before it begins"}},
		"a pool of Pods":        {[]string{"--load-balancer-pool=192.0.2.9,10.244.3.0/24"}, []string{"--load-balancer-pool 10.244.3.0-10.244.3.255,192.0.2.9 and --pod-cidr 10.244.0.0/16 overlap"}},
		"too small":             {[]string{"--pod-cidr=10.0.0.0/30"}, []string{"--pod-cidr 10.0.0.0/30: the prefix length must be from /16 to /28"}},
		"too large":             {[]string{"--service-cidr=10.0.0.0/4"}, []string{"--service-cidr 10.0.0.0/4: the prefix length must be from /8 to /28"}},
		"overlap":               {[]string{"--pod-cidr=10.100.0.0/16"}, []string{"--pod-cidr 10.100.0.0/16 and --service-cidr 10.96.0.0/12 overlap"}},
		"no port":               {[]string{"--listen=127.0.0.1"}, []string{`--listen "127.0.0.1" is not host:port`}},
		"port 0":                {[]string{"--listen=127.0.0.1:0"}, []string{"the port must be a number from 1 to 65535"}},
		"no Ingress port":       {[]string{"--ingress-http=80"}, []string{`--ingress-http "80" is not host:port (for example :80)`}},
		"an Ingress port 0":     {[]string{"--ingress-https=:0"}, []string{`--ingress-https ":0" is not host:port`}},
		"an Ingress host name":  {[]string{"--ingress-http=localhost:80"}, []string{`--ingress-http "localhost:80": the host must be an IP address of this machine, or left out`}},
		"a named port":          {[]string{"--listen=127.0.0.1:https"}, []string{"the port must be a number from 1 to 65535"}},
		"a mirror without name": {[]string{"--registry-mirror=http://127.0.0.1:5000"}, []string{"--registry-mirror: "}},
		"no data directory":     {[]string{"--data-dir="}, []string{`--data-dir "" is not a usable path`}},
		"no kubeconfig":         {[]string{"--kubeconfig="}, []string{`--kubeconfig "" is not a usable path`}},
		"a node's name":         {[]string{"--node-name=My_Node"}, []string{`--node-name "My_Node": a lowercase RFC 1123 subdomain`}},
		"all at once":           {[]string{"--pod-cidr=x", "--listen=y", "--data-dir="}, []string{"--pod-cidr", "--listen", "--data-dir"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseArgs(t, test.args...)
			if err == nil {
				t.Fatalf("%q was taken", test.args)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestHostNamesBecomeNodeNames(t *testing.T) {
	for host, want := range map[string]string{
		"boat":                  "boat",
		"Boat.Example.ORG":      "boat.example.org",
		"my_box!":               "my-box",
		"-.-":                   "node",
		"":                      "node",
		"日本":                    "node",
		strings.Repeat("a", 70): strings.Repeat("a", 63),
	} {
		if got := nodeName(host); got != want {
			t.Errorf("nodeName(%q) = %q, want %q", host, got, want)
		}
	}
}
