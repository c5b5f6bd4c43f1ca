package routing

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestWhichServicesListAndLeadToAPod(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Labels: map[string]string{"app": "web", "more": "yes"}}}
	for name, c := range map[string]struct {
		change       func(*corev1.Service)
		lists, leads bool
	}{
		"a plain one":         {func(*corev1.Service) {}, true, true},
		"headless":            {func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }, true, false},
		"of another proxy":    {func(s *corev1.Service) { s.Labels = map[string]string{proxyNameLabel: "x"} }, true, false},
		"for other Pods":      {func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": "db"} }, false, false},
		"without a selector":  {func(s *corev1.Service) { s.Spec.Selector = nil }, false, false},
		"elsewhere":           {func(s *corev1.Service) { s.Namespace = "other" }, false, false},
		"of an external name": {func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }, false, false},
	} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, ClusterIP: "10.96.0.9"}}
		c.change(service)
		if lists, leads := Lists(service, pod), LeadsTo(service, pod); lists != c.lists || leads != c.leads {
			t.Errorf("%s: lists it %v, leads to it %v; want %v, %v", name, lists, leads, c.lists, c.leads)
		}
	}
}

func TestAPodIsTerminatingWhereEveryListingSaysSo(t *testing.T) {
	yes, no := true, false
	listed := func(uid types.UID, terminating *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{UID: uid}, Conditions: discoveryv1.EndpointConditions{Terminating: terminating}}
	}
	slice := func(endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{Endpoints: endpoints}
	}
	for name, c := range map[string]struct {
		slices []*discoveryv1.EndpointSlice
		want   []types.UID
	}{
		"no slices":                 {},
		"serving, not said, no Pod": {slices: []*discoveryv1.EndpointSlice{slice(listed("a", &no), listed("b", nil), discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Terminating: &yes}})}},
		"some terminate":            {slices: []*discoveryv1.EndpointSlice{slice(listed("a", &yes), listed("b", &no)), slice(listed("c", &yes))}, want: []types.UID{"a", "c"}},
		"an older slice differs":    {slices: []*discoveryv1.EndpointSlice{slice(listed("a", &no), listed("b", &yes)), slice(listed("a", &yes))}, want: []types.UID{"b"}},
		"every slice says so":       {slices: []*discoveryv1.EndpointSlice{slice(listed("a", &yes)), slice(listed("a", &yes))}, want: []types.UID{"a"}},
	} {
		if got := slices.Sorted(maps.Keys(Terminating(c.slices))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
