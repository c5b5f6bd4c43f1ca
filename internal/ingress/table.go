package ingress

import (
	"cmp"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// Backend names a port of a Service, by number or by name.
type Backend struct {
	Namespace, Service, PortName string
	Port                         int32
	// Resource says what is meant that is no Service. Nobody serves that, and
	// its path is not left to another rule: whoever wrote it wants it kept
	// from there.
	Resource string
}

func (b Backend) String() string {
	if b.Resource != "" {
		return b.Resource
	}
	return b.Namespace + "/" + b.Service + ":" + cmp.Or(b.PortName, strconv.Itoa(int(b.Port)))
}

// kinded is its name with what it is.
func (b Backend) kinded() string {
	if b.Resource != "" {
		return "the backend " + b.Resource
	}
	return "Service " + b.String()
}

// Route is what becomes of a request.
type Route struct {
	Backend Backend
	// Timeout is how long the Service may take to begin its answer once it
	// has the whole request; 0 is as long as it likes.
	Timeout time.Duration
}

// Table finds the Route of a request. It does not change once it is made.
type Table struct {
	// hosts are by name, wildcards by what follows the "*", and the rules
	// without a host under "".
	hosts, wildcards map[string]*site
	// fallback is where what matches no rule of any host goes; nil for nowhere.
	fallback *Route
}

// site is the rules of one host.
type site struct {
	paths []rule
	// fallback is the default backend of the first Ingress that names the host.
	fallback *Route
}

// rule is a path of an Ingress.
type rule struct {
	// path is without a slash at its end, unless it is exact.
	path  string
	exact bool
	route Route
	from  string
}

// Problem is something that is wrong with an Ingress, for an event.
type Problem struct {
	Ingress *networkingv1.Ingress
	Reason  string
	Message string
}

// NewTable makes the table of some Ingresses. Where two have the same rule, the
// older one wins, so that nobody takes away what another serves.
func NewTable(ingresses []*networkingv1.Ingress) (*Table, []Problem) {
	t := &Table{hosts: map[string]*site{}, wildcards: map[string]*site{}}
	b := tableBuilder{table: t}
	sorted := slices.SortedFunc(slices.Values(ingresses), olderFirst)
	for _, ingress := range sorted {
		b.add(ingress)
	}
	// An Ingress that is nothing but a default backend means all requests.
	for _, withRules := range []bool{false, true} {
		for _, ingress := range sorted {
			if t.fallback == nil && len(ingress.Spec.Rules) > 0 == withRules {
				t.fallback = defaultRoute(ingress)
			}
		}
	}
	for _, sites := range []map[string]*site{t.hosts, t.wildcards} {
		for _, s := range sites {
			slices.SortStableFunc(s.paths, moreSpecificFirst)
		}
	}
	return t, b.problems
}

func olderFirst(a, b *networkingv1.Ingress) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// moreSpecificFirst is the documented precedence: the longest path, and of two
// equal ones the exact one.
func moreSpecificFirst(a, b rule) int {
	if by := cmp.Compare(len(b.path), len(a.path)); by != 0 {
		return by
	}
	switch {
	case a.exact == b.exact:
		return 0
	case a.exact:
		return -1
	default:
		return 1
	}
}

// Match finds the Route of a request by its Host header and its path. A rule
// holds only if both host and path match, so that a rule for any host serves
// what the rules for the host itself leave over.
func (t *Table) Match(host, requested string) (Route, bool) {
	requested = plainPath(requested)
	sites := t.sites(plainHost(host))
	for _, s := range sites {
		for _, r := range s.paths {
			if r.matches(requested) {
				return r.route, true
			}
		}
	}
	for _, s := range sites {
		if s.fallback != nil {
			return *s.fallback, true
		}
	}
	if t.fallback != nil {
		return *t.fallback, true
	}
	return Route{}, false
}

// sites are the rules that a host may match: its own, those of the wildcard
// that covers it, and those for any.
func (t *Table) sites(host string) []*site {
	found := make([]*site, 0, 3)
	if s := t.hosts[host]; s != nil && host != "" {
		found = append(found, s)
	}
	if label, parent, ok := strings.Cut(host, "."); ok && label != "" {
		if s := t.wildcards[parent]; s != nil {
			found = append(found, s)
		}
	}
	if s := t.hosts[""]; s != nil {
		found = append(found, s)
	}
	return found
}

func (r rule) matches(requested string) bool {
	if r.exact {
		return requested == r.path
	}
	rest, ok := strings.CutPrefix(requested, r.path)
	return ok && (rest == "" || rest[0] == '/')
}

// plainHost is a Host header without port, capitals and the dot at its end.
func plainHost(host string) string {
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// plainPath is a path in which ".." and "//" mean nothing any more: no request
// comes past the rule for a path by writing it in another way. The slash at the
// end stays.
func plainPath(requested string) string {
	clean := path.Clean("/" + requested)
	if clean != "/" && strings.HasSuffix(requested, "/") {
		clean += "/"
	}
	return clean
}

// String lists the rules by host, in the order in which they are tried.
func (t *Table) String() string {
	var text strings.Builder
	list := func(sites map[string]*site, prefix string) {
		hosts := make([]string, 0, len(sites))
		for host := range sites {
			hosts = append(hosts, host)
		}
		slices.Sort(hosts)
		for _, host := range hosts {
			fmt.Fprintln(&text, cmp.Or(prefix+host, "any host"))
			for _, r := range sites[host].paths {
				kind := "prefix"
				if r.exact {
					kind = "exact "
				}
				fmt.Fprintf(&text, "  %s %s -> %s\n", kind, cmp.Or(r.path, "/"), r.route.Backend)
			}
			if f := sites[host].fallback; f != nil {
				fmt.Fprintf(&text, "  otherwise -> %s\n", f.Backend)
			}
		}
	}
	list(t.hosts, "")
	list(t.wildcards, "*.")
	if t.fallback != nil {
		fmt.Fprintf(&text, "otherwise -> %s\n", t.fallback.Backend)
	}
	return text.String()
}

// backends are all Services that a request may be sent to; some of them twice.
func (t *Table) backends() iter.Seq[Backend] {
	return func(yieldAny func(Backend) bool) {
		yield := func(b Backend) bool { return b.Resource != "" || yieldAny(b) }
		for _, sites := range []map[string]*site{t.hosts, t.wildcards} {
			for _, s := range sites {
				for _, r := range s.paths {
					if !yield(r.route.Backend) {
						return
					}
				}
				if s.fallback != nil && !yield(s.fallback.Backend) {
					return
				}
			}
		}
		if t.fallback != nil {
			yield(t.fallback.Backend)
		}
	}
}
