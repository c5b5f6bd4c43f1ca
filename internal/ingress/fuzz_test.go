package ingress

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// FuzzMatch asks for anything: a rule for a path never serves what is outside
// of it, in whatever way that is written, and a host never another's rules.
func FuzzMatch(f *testing.F) {
	private, open := ingressFor("private", "in.example", "private"), ingressFor("open", "*.example", "open")
	private.Spec.Rules[0].HTTP.Paths[0].Path = "/private"
	table, problems := NewTable([]*networkingv1.Ingress{private, open})
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	for _, path := range []string{"/private", "/private/../open", "//private/x", "/./private/", "", "..", "/a/../../private"} {
		f.Add("in.example", path)
		f.Add("IN.EXAMPLE.:80", path)
		f.Add("x.example", path)
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		route, found := table.Match(host, path)
		clean := plainPath(path)
		if !strings.HasPrefix(clean, "/") || strings.Contains(clean, "//") || strings.Contains(clean+"/", "/../") {
			t.Fatalf("%q became %q", path, clean)
		}
		if plainPath(clean) != clean {
			t.Fatalf("%q became %q, and that %q", path, clean, plainPath(clean))
		}
		inside := clean == "/private" || strings.HasPrefix(clean, "/private/")
		switch name := plainHost(host); {
		case name == "in.example" && inside != (route.Backend.Service == "private"):
			t.Fatalf("%q %q went to %s", host, path, route.Backend)
		case !strings.HasSuffix(name, ".example") && found:
			t.Fatalf("host %q got the rules of another: %s", host, route.Backend)
		}
	})
}
