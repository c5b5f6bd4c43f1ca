package proxy

import (
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Whoever looks at the firewall of the machine sees our table too; nft must
// not stumble over it.
func TestTableCanBeListed(t *testing.T) {
	c := startCluster(t)
	a, b := c.NewPod(t, "a"), c.NewPod(t, "b")
	c.service("web", "10.96.0.20", nodePort, func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	c.service("plain", "10.96.0.21")
	c.service("fenced", "10.96.0.22", fencedFor("203.0.113.0/24", "192.0.2.0/25"))
	c.endpoints("web", a, b)
	c.endpoints("plain", a, b)
	if err := c.proxy.Routed(t.Context(), a.Addr, []string{"default/web", "default/plain"}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft list ruleset: %v\n%s", err, out)
	}
	for _, want := range []string{"table ip coxswain", "10.96.0.20 . tcp . 80", "map @endpoints", "vmap @services", "sticky-10.96.0.20-tcp-80", "goto fence-192.0.2.1-tcp-80", "ip saddr 192.0.2.0/25 return"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
}
