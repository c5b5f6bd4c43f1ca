package strict

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestBadQuantitiesAreNamed(t *testing.T) {
	types := []reflect.Type{reflect.TypeFor[*corev1.ConfigMap](), reflect.TypeFor[*corev1.Pod](), reflect.TypeFor[*corev1.ResourceQuota]()}
	pod := func(spec string) string { return `{"kind": "Pod", "spec": ` + spec + `}` }
	for _, test := range []struct{ name, body, want string }{
		{"in a list and a map", pod(`{"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gx"}}}]}`), `spec.containers[0].resources.limits[memory]: Invalid value: "1Gx": `},
		{"behind a pointer", pod(`{"volumes": [{"emptyDir": {"sizeLimit": "much"}}]}`), `spec.volumes[0].emptyDir.sizeLimit: Invalid value: "much": `},
		{"the first of several", pod(`{"containers": [{"resources": {"requests": {"memory": "x", "cpu": "y"}}}]}`), `spec.containers[0].resources.requests[cpu]: Invalid value: "y": `},
		{"in YAML", "kind: ResourceQuota\nspec: {hard: {pods: many}}\n", `spec.hard[pods]: Invalid value: "many": `},
		{"of a kind that is not known", `{"kind": "Boat", "spec": {"hard": {"pods": "many"}}}`, ""},
		{"where there is none", pod(`{"containers": [{"image": "1x"}]}`), ""},
		{"no text", "\x00\x01", ""},
		{"a list for a map", pod(`[{"containers": []}]`), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := nameQuantity(resource.ErrFormatWrong, []byte(test.body), types)
			if want := test.want + resource.ErrFormatWrong.Error(); err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.Is(err, resource.ErrFormatWrong) {
				t.Error("the cause is lost")
			}
		})
	}
	if other := fmt.Errorf("something else"); nameQuantity(other, []byte(pod(`{"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}`)), types) != other {
		t.Error("another error was changed")
	}
}
