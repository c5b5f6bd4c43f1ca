package autoscale

import (
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/utils/ptr"
)

// String is a stable text of the decision, for people and for golden files.
func (made Decision) String() string {
	var out strings.Builder
	if made.Rescale != nil {
		fmt.Fprintf(&out, "rescale to %d: %s\n", made.Rescale.Replicas, made.Rescale.Reason)
	} else {
		out.WriteString("leave the size\n")
	}
	s := made.Status
	fmt.Fprintf(&out, "status: current=%d desired=%d", s.CurrentReplicas, s.DesiredReplicas)
	for i := range s.CurrentMetrics {
		out.WriteString(" " + currentText(&s.CurrentMetrics[i]))
	}
	fmt.Fprintf(&out, " observed=%d", ptr.Deref(s.ObservedGeneration, -1))
	if s.LastScaleTime != nil {
		fmt.Fprintf(&out, " last=%s", clockText(s.LastScaleTime.Time))
	}
	out.WriteString("\n")
	for _, c := range s.Conditions {
		fmt.Fprintf(&out, "  %s=%s(%d) %s since %s: %s\n", c.Type, c.Status, ptr.Deref(c.ObservedGeneration, -1), c.Reason, clockText(c.LastTransitionTime.Time), c.Message)
	}
	for _, event := range made.Events {
		fmt.Fprintf(&out, "event: %s %s: %s\n", event.Type, event.Reason, event.Message)
	}
	fmt.Fprintf(&out, "remembers: %s\n", made.History)
	return out.String()
}

func currentText(status *autoscalingv2.MetricStatus) string {
	name, current := currentOf(status)
	switch {
	case name == "":
		return "unknown"
	case current.AverageUtilization != nil:
		return fmt.Sprintf("%s=%d%%(%s)", name, *current.AverageUtilization, current.AverageValue)
	}
	return fmt.Sprintf("%s=%s", name, current.AverageValue)
}

// String is what is remembered.
func (h History) String() string {
	var texts []string
	for _, r := range h.Recommendations {
		texts = append(texts, fmt.Sprintf("%d at %s", r.Replicas, clockText(r.At)))
	}
	for _, c := range h.Changes {
		texts = append(texts, fmt.Sprintf("%+d at %s", c.By, clockText(c.At)))
	}
	for _, event := range h.Told {
		texts = append(texts, event.Reason)
	}
	return strings.Join(texts, ", ")
}

func clockText(t time.Time) string { return t.UTC().Format(time.TimeOnly) }
