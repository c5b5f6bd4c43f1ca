package agent

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What a Pod's resolv.conf says depends on its policy, on whose network it is
// in, and on the machine's own.
func TestNameServersOfAPod(t *testing.T) {
	host, err := hostDNS(hostResolvConf)
	if err != nil {
		t.Fatal(err)
	}
	cluster := &runtimeapi.DNSConfig{
		Servers: []string{"10.96.0.10"}, Options: []string{"ndots:5"},
		Searches: unique(append([]string{"team.svc.cluster.local", "svc.cluster.local", "cluster.local"}, host.Searches...)),
	}
	more := &corev1.PodDNSConfig{
		Nameservers: []string{"192.0.2.1"}, Searches: []string{"example.org", "cluster.local"},
		Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("2")}, {Name: "edns0"}},
	}
	for name, test := range map[string]struct {
		policy      corev1.DNSPolicy
		hostNetwork bool
		config      *corev1.PodDNSConfig
		withoutDNS  bool
		want        *runtimeapi.DNSConfig
	}{
		"ClusterFirst":                       {policy: corev1.DNSClusterFirst, want: cluster},
		"ClusterFirst in the host's network": {policy: corev1.DNSClusterFirst, hostNetwork: true, want: host},
		"ClusterFirstWithHostNet":            {policy: corev1.DNSClusterFirstWithHostNet, hostNetwork: true, want: cluster},
		"Default":                            {policy: corev1.DNSDefault, want: host},
		"ClusterFirst without a name server": {policy: corev1.DNSClusterFirst, withoutDNS: true, want: host},
		"None":                               {policy: corev1.DNSNone, config: more, want: &runtimeapi.DNSConfig{Servers: more.Nameservers, Searches: more.Searches, Options: []string{"ndots:2", "edns0"}}},
		"ClusterFirst with more of everything": {policy: corev1.DNSClusterFirst, config: more, want: &runtimeapi.DNSConfig{
			Servers: []string{"10.96.0.10", "192.0.2.1"}, Searches: append(slices.Clone(cluster.Searches), "example.org"), Options: []string{"ndots:2", "edns0"},
		}},
	} {
		a := &Agent{config: Config{ClusterDNS: netip.MustParseAddr("10.96.0.10"), ClusterDomain: "cluster.local"}}
		if test.withoutDNS {
			a.config.ClusterDNS = netip.Addr{}
		}
		got, err := a.dnsConfig(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team"},
			Spec:       corev1.PodSpec{DNSPolicy: test.policy, HostNetwork: test.hostNetwork, DNSConfig: test.config},
		})
		limitDNS(test.want)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %v (%v)\nwant %v", name, got, err, test.want)
		}
	}
}

func TestResolvConfIsReadAsTheLibraryDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# a comment\nnameserver 192.0.2.1\nnameserver\nsearch old.example\nsearch a.example . b.example\noptions timeout:1 rotate\nnameserver 2001:db8::1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := hostDNS(path)
	want := &runtimeapi.DNSConfig{Servers: []string{"192.0.2.1", "2001:db8::1"}, Searches: []string{"a.example", "b.example"}, Options: []string{"timeout:1", "rotate"}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v (%v)\nwant %v", got, err, want)
	}
	if got, err := hostDNS(filepath.Join(t.TempDir(), "none")); err != nil || len(got.Servers) > 0 {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

func TestWhatNoLibraryReadsIsLeftOut(t *testing.T) {
	dns := &runtimeapi.DNSConfig{Servers: []string{"1.1.1.1", "1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"}}
	for i := range 40 {
		dns.Searches = append(dns.Searches, fmt.Sprintf("%d.example", i))
	}
	limitDNS(dns)
	if strings.Join(dns.Servers, " ") != "1.1.1.1 2.2.2.2 3.3.3.3" || len(dns.Searches) != maxSearches {
		t.Errorf("%v", dns)
	}
	dns.Searches = nil
	for i := range 20 {
		dns.Searches = append(dns.Searches, fmt.Sprintf("%d.%s.example", i, strings.Repeat("long", 40)))
	}
	limitDNS(dns)
	if length := len(strings.Join(dns.Searches, " ")); length > maxSearchLength || length < maxSearchLength-200 {
		t.Errorf("%d characters of domains, want up to %d", length, maxSearchLength)
	}
}
