package ingress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// rules are what was read last: the Ingresses to serve, the oldest first, what
// follows from them, and what is wrong with them.
type rules struct {
	ours     []*networkingv1.Ingress
	table    *Table
	problems []Problem
}

// read reads Ingresses and certificates. From then on, a change of the Services
// and Pods behind them is a reason to look.
func (f *Front) read(ctx context.Context) {
	ours := f.ours()
	wanted := f.config.HTTPS != "" && slices.ContainsFunc(ours, func(i *networkingv1.Ingress) bool { return len(i.Spec.TLS) > 0 })
	if err := f.secrets.want(ctx, wanted); err != nil {
		f.log.Error("watching certificates", "error", err)
	}
	if len(ours) == 0 {
		f.rules = rules{}
		f.shown.Store(&certificates{})
		f.backends.Store(nil)
		return
	}
	table, problems := NewTable(ours)
	shown := &certificates{}
	if wanted {
		var bad []Problem
		shown, bad = newCertificates(ours, f.secrets.find, time.Now())
		problems = append(problems, bad...)
	}
	f.rules = rules{ours: ours, table: table, problems: problems}
	f.shown.Store(shown)
	services := map[string]bool{}
	for b := range table.backends() {
		services[b.Namespace+"/"+b.Service] = true
	}
	f.backends.Store(&services)
}

// ours are the Ingresses to serve, the oldest first.
func (f *Front) ours() []*networkingv1.Ingress {
	var ours []*networkingv1.Ingress
	for _, item := range f.ingresses.GetStore().List() {
		if ingress := item.(*networkingv1.Ingress); isOurs(ingress, f.controllerOf) {
			ours = append(ours, ingress)
		}
	}
	slices.SortFunc(ours, olderFirst)
	return ours
}

func (f *Front) controllerOf(class string) string {
	item, exists, err := f.classes.GetStore().GetByKey(class)
	if err != nil || !exists {
		return ""
	}
	return item.(*networkingv1.IngressClass).Spec.Controller
}

// serve finds the Pods behind every Backend.
func (f *Front) serve() served {
	if f.rules.table == nil {
		return served{}
	}
	now := served{table: f.rules.table, backends: map[Backend]endpoints{}}
	for b := range f.rules.table.backends() {
		if _, known := now.backends[b]; !known {
			now.backends[b] = lookUp(f.services.GetStore(), f.slices.GetIndexer(), b)
		}
	}
	return now
}

// addresses are what others reach the front by.
func (f *Front) addresses() ([]netip.Addr, error) {
	for _, door := range f.doors.all {
		if listens, err := netip.ParseAddrPort(door.address); err == nil && !listens.Addr().IsUnspecified() {
			return []netip.Addr{listens.Addr()}, nil
		}
	}
	addresses, err := f.config.Machine.Addresses()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's addresses: %w", err)
	}
	return addresses, nil
}
