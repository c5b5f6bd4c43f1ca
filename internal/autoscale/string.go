package autoscale

import (
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
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
	if s.LastScaleTime != nil {
		fmt.Fprintf(&out, " last=%s", clockText(s.LastScaleTime.Time))
	}
	out.WriteString("\n")
	for _, c := range s.Conditions {
		fmt.Fprintf(&out, "  %s=%s %s since %s: %s\n", c.Type, c.Status, c.Reason, clockText(c.LastTransitionTime.Time), c.Message)
	}
	for _, event := range made.Events {
		fmt.Fprintf(&out, "event: %s %s: %s\n", event.Type, event.Reason, event.Message)
	}
	return out.String()
}

func currentText(status *autoscalingv2.MetricStatus) string {
	var name string
	var current autoscalingv2.MetricValueStatus
	switch {
	case status.Resource != nil:
		name, current = string(status.Resource.Name), status.Resource.Current
	case status.ContainerResource != nil:
		name, current = status.ContainerResource.Container+"'s "+string(status.ContainerResource.Name), status.ContainerResource.Current
	default:
		return "unknown"
	}
	if current.AverageUtilization != nil {
		return fmt.Sprintf("%s=%d%%(%s)", name, *current.AverageUtilization, current.AverageValue)
	}
	return fmt.Sprintf("%s=%s", name, current.AverageValue)
}

func clockText(t time.Time) string { return t.UTC().Format(time.TimeOnly) }
