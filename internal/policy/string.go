package policy

import (
	"fmt"
	"slices"
	"strings"
)

// String is stable text, one line for each thing that is allowed.
func (i Isolation) String() string {
	var text strings.Builder
	for _, direction := range []struct {
		name     string
		isolated bool
		allows   []Allow
	}{{"ingress", i.IngressIsolated, i.Ingress}, {"egress", i.EgressIsolated, i.Egress}} {
		if !direction.isolated {
			fmt.Fprintf(&text, "%s: everything\n", direction.name)
		}
		for _, allow := range direction.allows {
			fmt.Fprintf(&text, "%s: %s\n", direction.name, allow)
		}
	}
	return text.String()
}

func (a Allow) String() string {
	who := []string{"nobody"}
	if a.All {
		who = []string{"everybody"}
	} else if len(a.Peers) > 0 {
		who = nil
		for _, peer := range a.Peers {
			who = append(who, peer.String())
		}
	}
	var ports []string
	for _, port := range a.Ports {
		ports = append(ports, port.String())
	}
	if len(ports) == 0 {
		ports = []string{"all ports"}
	}
	return strings.Join(who, " ") + " at " + strings.Join(ports, " ")
}

func (r Range) String() string {
	if r.From == r.To {
		return r.From.String()
	}
	return r.From.String() + "-" + r.To.String()
}

func (p Port) String() string {
	switch {
	case p.First == 0:
		return string(p.Protocol)
	case p.First == p.Last:
		return fmt.Sprintf("%s/%d", p.Protocol, p.First)
	}
	return fmt.Sprintf("%s/%d-%d", p.Protocol, p.First, p.Last)
}

// tidy sorts what is allowed, and drops what allows nothing or nothing more.
func tidy(allows []Allow) []Allow {
	allows = slices.DeleteFunc(allows, func(a Allow) bool { return !a.All && len(a.Peers) == 0 })
	slices.SortFunc(allows, func(a, b Allow) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(allows, func(a, b Allow) bool { return a.String() == b.String() })
}
