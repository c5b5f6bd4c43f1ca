package ingress

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// TimeoutAnnotation sets Route.Timeout, in seconds, for all rules of an Ingress.
const TimeoutAnnotation = "coxswain.dev/timeout-seconds"

// defaultTimeout is what other front servers have.
const defaultTimeout = 60 * time.Second

// tableBuilder puts the rules of one Ingress after the other into a table.
type tableBuilder struct {
	table    *Table
	problems []Problem
}

func (b *tableBuilder) add(ingress *networkingv1.Ingress) {
	b.check(ingress, ingress.Spec.DefaultBackend)
	if _, err := timeoutOf(ingress); err != nil {
		b.problem(ingress, "InvalidAnnotation", err.Error())
	}
	for i := range ingress.Spec.Rules {
		ruleOf := &ingress.Spec.Rules[i]
		s := b.site(ruleOf.Host)
		if s.fallback == nil && ruleOf.Host != "" {
			s.fallback = defaultRoute(ingress)
		}
		if ruleOf.HTTP == nil {
			continue // only the default backend serves this host
		}
		for j := range ruleOf.HTTP.Paths {
			b.addPath(ingress, ruleOf.Host, s, &ruleOf.HTTP.Paths[j])
		}
	}
}

func (b *tableBuilder) addPath(ingress *networkingv1.Ingress, host string, s *site, p *networkingv1.HTTPIngressPath) {
	b.check(ingress, &p.Backend)
	route, ok := routeTo(ingress, &p.Backend)
	if !ok {
		return
	}
	r := rule{path: p.Path, route: route, from: ingress.Namespace + "/" + ingress.Name}
	r.exact = p.PathType != nil && *p.PathType == networkingv1.PathTypeExact
	if !r.exact {
		r.path = strings.TrimSuffix(r.path, "/")
	}
	for _, other := range s.paths {
		if other.path == r.path && other.exact == r.exact {
			b.problem(ingress, "PathTaken", fmt.Sprintf("host %q, path %q: the older Ingress %s has this path already and keeps it", host, p.Path, other.from))
			return
		}
	}
	s.paths = append(s.paths, r)
}

// site finds the rules of a host.
func (b *tableBuilder) site(host string) *site {
	sites := b.table.hosts
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		sites, host = b.table.wildcards, parent
	}
	if sites[host] == nil {
		sites[host] = &site{}
	}
	return sites[host]
}

func (b *tableBuilder) check(ingress *networkingv1.Ingress, backend *networkingv1.IngressBackend) {
	if backend != nil && backend.Resource != nil {
		b.problem(ingress, "UnsupportedBackend", fmt.Sprintf("the backend %s is no Service: only Services are served", resourceOf(backend)))
	}
}

func (b *tableBuilder) problem(ingress *networkingv1.Ingress, reason, message string) {
	b.problems = append(b.problems, Problem{Ingress: ingress, Reason: reason, Message: message})
}

func defaultRoute(ingress *networkingv1.Ingress) *Route {
	if ingress.Spec.DefaultBackend == nil {
		return nil
	}
	route, ok := routeTo(ingress, ingress.Spec.DefaultBackend)
	if !ok {
		return nil
	}
	return &route
}

func routeTo(ingress *networkingv1.Ingress, backend *networkingv1.IngressBackend) (Route, bool) {
	timeout, _ := timeoutOf(ingress) // what is wrong with it was said already
	if backend.Resource != nil {
		return Route{Backend: Backend{Namespace: ingress.Namespace, Resource: resourceOf(backend)}, Timeout: timeout}, true
	}
	if backend.Service == nil {
		return Route{}, false
	}
	return Route{
		Backend: Backend{Namespace: ingress.Namespace, Service: backend.Service.Name, PortName: backend.Service.Port.Name, Port: backend.Service.Port.Number},
		Timeout: timeout,
	}, true
}

// resourceOf is a backend that is no Service, in words.
func resourceOf(backend *networkingv1.IngressBackend) string {
	return fmt.Sprintf("%s %q", backend.Resource.Kind, backend.Resource.Name)
}

func timeoutOf(ingress *networkingv1.Ingress) (time.Duration, error) {
	text, ok := ingress.Annotations[TimeoutAnnotation]
	if !ok {
		return defaultTimeout, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 20)
	if err != nil {
		return defaultTimeout, fmt.Errorf("annotation %s: %q is no number of seconds; it stays at %v", TimeoutAnnotation, text, defaultTimeout)
	}
	return time.Duration(seconds) * time.Second, nil
}
