package diagnose

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/test/golden"
)

func TestScenarios(t *testing.T) { golden.Scenarios(t, func() *scene { return &scene{} }) }

// scene is a Snapshot that objects in YAML make up: a line with what it is, and
// the object below it.
type scene struct{ Snapshot }

func (s *scene) Do(statement string) error {
	line, below, _ := strings.Cut(statement, "\n")
	meta := metav1.ObjectMeta{Namespace: "default"}
	read := func(into any) error { return yaml.UnmarshalStrict([]byte(below), into) }
	switch line {
	case "service":
		s.Service = &corev1.Service{ObjectMeta: meta}
		return read(s.Service)
	case "slice":
		slice := &discoveryv1.EndpointSlice{ObjectMeta: meta}
		s.Slices = append(s.Slices, slice)
		return read(slice)
	case "services":
		other := &corev1.Service{ObjectMeta: meta}
		s.Services = append(s.Services, other)
		return read(other)
	case "name server":
		s.NameServer = netip.MustParseAddr(strings.TrimSpace(below))
		return nil
	case "pod":
		pod := &corev1.Pod{ObjectMeta: meta}
		s.Pods = append(s.Pods, pod)
		return read(pod)
	case "policy":
		policy := &networkingv1.NetworkPolicy{ObjectMeta: meta}
		s.Policies = append(s.Policies, policy)
		return read(policy)
	case "event":
		event := &corev1.Event{ObjectMeta: meta}
		s.Events = append(s.Events, event)
		return read(event)
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	return fmt.Errorf("no such object")
}

func (s *scene) Answer() string {
	var text strings.Builder
	for _, finding := range Service(s.Snapshot) {
		fmt.Fprintf(&text, "%s\n  %s\n", finding.Problem, finding.Advice)
	}
	if text.Len() == 0 {
		return "all is well\n"
	}
	return text.String()
}
