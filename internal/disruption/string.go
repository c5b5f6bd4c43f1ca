package disruption

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// String is a stable text of the decision, for people and for golden files.
func (d Decision) String() string {
	var out strings.Builder
	s := d.Status
	fmt.Fprintf(&out, "allowed=%d healthy=%d desired=%d expected=%d observed=%d", s.DisruptionsAllowed, s.CurrentHealthy, s.DesiredHealthy, s.ExpectedPods, s.ObservedGeneration)
	if !d.Changed {
		out.WriteString(" (as it was)")
	}
	out.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(s.DisruptedPods)) {
		fmt.Fprintf(&out, "  let go: %s at %s\n", name, clockText(s.DisruptedPods[name].Time))
	}
	for _, c := range s.Conditions {
		fmt.Fprintf(&out, "  %s=%s %s since %s%s\n", c.Type, c.Status, c.Reason, clockText(c.LastTransitionTime.Time), afterColon(c.Message))
	}
	for _, event := range d.Events {
		about := "the budget"
		if event.Pod != nil {
			about = event.Pod.Name
		}
		fmt.Fprintf(&out, "event: %s %s about %s: %s\n", event.Type, event.Reason, about, event.Message)
	}
	if !d.WakeAt.IsZero() {
		fmt.Fprintf(&out, "wake at %s\n", clockText(d.WakeAt))
	}
	return out.String()
}

func afterColon(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func clockText(t time.Time) string { return t.UTC().Format(time.TimeOnly) }
