package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// dnsConfig is a Pod's resolv.conf, by its DNS policy.
func (a *Agent) dnsConfig(pod *corev1.Pod) (*runtimeapi.DNSConfig, error) {
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork || !a.config.ClusterDNS.IsValid() && policy != corev1.DNSNone {
		policy = corev1.DNSDefault
	}
	dns := &runtimeapi.DNSConfig{}
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSDefault:
		host, err := hostDNS(hostResolvConf)
		if err != nil {
			return nil, err
		}
		dns = host
	default:
		host, err := hostDNS(hostResolvConf)
		if err != nil {
			return nil, err
		}
		domain := a.config.ClusterDomain
		dns.Servers = []string{a.config.ClusterDNS.String()}
		dns.Searches = append([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.Searches...)
		dns.Options = []string{"ndots:5"}
	}
	addDNS(dns, pod.Spec.DNSConfig)
	limitDNS(dns)
	return dns, nil
}

// What the resolvers of common C libraries read of a resolv.conf; the rest they
// leave out, or the whole line (Kubernetes' documentation has the same limits).
const (
	maxNameservers  = 3
	maxSearches     = 32
	maxSearchLength = 2048
)

// limitDNS leaves out what is named twice, and what is too much.
func limitDNS(dns *runtimeapi.DNSConfig) {
	dns.Servers, dns.Searches = unique(dns.Servers), unique(dns.Searches)
	dns.Servers = dns.Servers[:min(len(dns.Servers), maxNameservers)]
	dns.Searches = dns.Searches[:min(len(dns.Searches), maxSearches)]
	for len(strings.Join(dns.Searches, " ")) > maxSearchLength {
		dns.Searches = dns.Searches[:len(dns.Searches)-1]
	}
}

func addDNS(dns *runtimeapi.DNSConfig, more *corev1.PodDNSConfig) {
	if more == nil {
		return
	}
	dns.Servers = append(dns.Servers, more.Nameservers...)
	dns.Searches = append(dns.Searches, more.Searches...)
	for _, option := range more.Options {
		dns.Options = slices.DeleteFunc(dns.Options, func(have string) bool {
			name, _, _ := strings.Cut(have, ":")
			return name == option.Name
		})
		text := option.Name
		if option.Value != nil {
			text += ":" + *option.Value
		}
		dns.Options = append(dns.Options, text)
	}
}

func unique(all []string) []string {
	var kept []string
	for _, one := range all {
		if !slices.Contains(kept, one) {
			kept = append(kept, one)
		}
	}
	return kept
}

const hostResolvConf = "/etc/resolv.conf"

// hostDNS reads the machine's own resolv.conf, systemd-resolved's real one
// where there is one.
func hostDNS(path string) (*runtimeapi.DNSConfig, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &runtimeapi.DNSConfig{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the machine's name servers: %w", err)
	}
	if bytes.Contains(content, []byte("nameserver 127.0.0.53")) {
		if upstream, err := os.ReadFile("/run/systemd/resolve/resolv.conf"); err == nil {
			content = upstream
		}
	}
	dns := &runtimeapi.DNSConfig{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			dns.Servers = append(dns.Servers, fields[1])
		case "search":
			dns.Searches = slices.DeleteFunc(fields[1:], func(domain string) bool { return domain == "." })
		case "options":
			dns.Options = fields[1:]
		}
	}
	return dns, lines.Err()
}

const hostsHeader = "# Kubernetes-managed hosts file.\n"

// writeHosts writes the Pod's /etc/hosts and returns where it is.
func (a *Agent) writeHosts(pod *corev1.Pod) (string, error) {
	path := filepath.Join(a.volumes.PodDir(pod.UID), "etc-hosts")
	var text bytes.Buffer
	if pod.Spec.HostNetwork {
		host, err := os.ReadFile("/etc/hosts")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		text.WriteString("# Kubernetes-managed hosts file (host network).\n")
		text.Write(host)
	} else {
		a.podHosts(&text, pod)
	}
	if len(pod.Spec.HostAliases) > 0 {
		text.WriteString("\n# Entries added by HostAliases.\n")
		for _, alias := range pod.Spec.HostAliases {
			fmt.Fprintf(&text, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, text.Bytes(), 0o644)
}

func (a *Agent) podHosts(text *bytes.Buffer, pod *corev1.Pod) {
	text.WriteString(hostsHeader)
	text.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n")
	text.WriteString("fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
	name, domain := hostname(pod, a.config.ClusterDomain)
	for _, ip := range pod.Status.PodIPs {
		if domain != "" {
			short := strings.TrimSuffix(name, "."+domain)
			fmt.Fprintf(text, "%s\t%s.%s\t%s\n", ip.IP, short, domain, short)
		} else {
			fmt.Fprintf(text, "%s\t%s\n", ip.IP, name)
		}
	}
}
