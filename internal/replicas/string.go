package replicas

import (
	"fmt"
	"strings"
	"time"
)

// String is a stable text of the decision, one line an action, for people and
// for golden files.
func (d Decision) String() string {
	var out strings.Builder
	for _, ref := range d.Adopt {
		fmt.Fprintf(&out, "adopt %s\n", ref.Name)
	}
	for _, ref := range d.Release {
		fmt.Fprintf(&out, "release %s\n", ref.Name)
	}
	if d.Create > 0 {
		fmt.Fprintf(&out, "create %d\n", d.Create)
	}
	for _, ref := range d.Delete {
		fmt.Fprintf(&out, "delete %s\n", ref.Name)
	}
	if out.Len() == 0 {
		out.WriteString("nothing to do\n")
	}
	s := d.Status
	fmt.Fprintf(&out, "status: replicas=%d labeled=%d ready=%d available=%d terminating=%d observed=%d\n",
		s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, s.TerminatingReplicas, s.ObservedGeneration)
	if s.Failure != nil {
		fmt.Fprintf(&out, "  ReplicaFailure=True %s since %s: %s\n", s.Failure.Reason, clockText(s.Failure.Since.Time), s.Failure.Message)
	}
	if !d.WakeAt.IsZero() {
		fmt.Fprintf(&out, "wake at %s\n", clockText(d.WakeAt))
	}
	return out.String()
}

func clockText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
