package routing

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

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
