package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// String is a stable text of the decision, one line an action, for people and
// for golden files.
func (d Decision) String() string {
	var out strings.Builder
	if len(d.Actions) == 0 {
		out.WriteString("nothing to do\n")
	}
	for _, action := range d.Actions {
		fmt.Fprintf(&out, "%s: %s\n", describe(action), action.Why())
		if a, ok := action.(RollBack); ok {
			fmt.Fprintf(&out, "  %s %s: %s\n", a.Event.Type, a.Event.Reason, a.Event.Message)
		}
	}
	s := d.Status
	fmt.Fprintf(&out, "status: replicas=%d updated=%d ready=%d available=%d unavailable=%d", s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, s.UnavailableReplicas)
	switch {
	case s.TerminatingReplicas == nil && s.ObservedGeneration > 0:
		out.WriteString(" terminating=unknown")
	case terminatingOf(&s) > 0:
		fmt.Fprintf(&out, " terminating=%d", *s.TerminatingReplicas)
	}
	fmt.Fprintf(&out, " observed=%d\n", s.ObservedGeneration)
	for _, c := range s.Conditions {
		fmt.Fprintf(&out, "  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, e := range d.Events {
		fmt.Fprintf(&out, "%s %s: %s\n", e.Type, e.Reason, e.Message)
	}
	if !d.WakeAt.IsZero() {
		fmt.Fprintf(&out, "wake at %s\n", d.WakeAt.UTC().Format(time.RFC3339))
	}
	return out.String()
}

func describe(action Action) string {
	switch a := action.(type) {
	case Adopt:
		return "adopt " + a.Name
	case Release:
		return "release " + a.Name
	case Create:
		return fmt.Sprintf("create %s with %d replicas %s", a.ReplicaSet.Name, *a.ReplicaSet.Spec.Replicas, annotationsText(a.ReplicaSet.Annotations))
	case Update:
		text := "update " + a.Name
		if a.From != a.To {
			text = fmt.Sprintf("scale %s from %d to %d", a.Name, a.From, a.To)
		}
		return strings.TrimSpace(text + " " + annotationsText(a.Annotations))
	case Delete:
		return "delete " + a.Name
	case Annotate:
		return "annotate the Deployment " + annotationsText(a.Annotations)
	case RollBack:
		text := "leave the Deployment's template"
		if a.Template != nil {
			text = "give the Deployment the template of " + imagesText(a.Template)
		}
		return strings.TrimSpace(text + " " + annotationsText(a.Annotations))
	default:
		return fmt.Sprintf("%T", action)
	}
}

func annotationsText(annotations map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		parts = append(parts, strings.TrimPrefix(key, "deployment.kubernetes.io/")+"="+annotations[key])
	}
	if len(parts) == 0 {
		return ""
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// imagesText is what most tells templates apart.
func imagesText(template *corev1.PodTemplateSpec) string {
	var images []string
	for _, container := range template.Spec.Containers {
		images = append(images, container.Image)
	}
	return strings.Join(images, ", ")
}
