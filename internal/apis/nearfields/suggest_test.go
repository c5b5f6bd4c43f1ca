package nearfields

import (
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestSuggestNamesTheNearestField(t *testing.T) {
	deployment, service := reflect.TypeFor[*appsv1.Deployment](), reflect.TypeFor[*corev1.Service]()
	for _, test := range []struct {
		name, text, want string
		types            []reflect.Type
	}{
		{"a letter swapped deep inside", `unknown field "spec.strategy.rollingUpdate.maxUnavaliable"`,
			`unknown field "spec.strategy.rollingUpdate.maxUnavaliable" (did you mean "maxUnavailable"?)`, []reflect.Type{deployment}},
		{"a word that sounds alike", `unknown field "spec.processDeadlineSeconds"`,
			`unknown field "spec.processDeadlineSeconds" (did you mean "progressDeadlineSeconds"?)`, []reflect.Type{deployment}},
		{"below a list", `unknown field "spec.template.spec.containers[0].imagee"`,
			`unknown field "spec.template.spec.containers[0].imagee" (did you mean "image"?)`, []reflect.Type{deployment}},
		{"wrong case", `unknown field "spec.Replicas"`, `unknown field "spec.Replicas" (did you mean "replicas"?)`, []reflect.Type{deployment}},
		{"in the metadata", `unknown field "metadata.lables"`, `unknown field "metadata.lables" (did you mean "labels"?)`, []reflect.Type{deployment}},
		{"at the top", `unknown field "sepc"`, `unknown field "sepc" (did you mean "spec"?)`, []reflect.Type{deployment}},
		{"several in one text", `strict decoding error: unknown field "spec.replicsa", unknown field "spec.pausd"`,
			`strict decoding error: unknown field "spec.replicsa" (did you mean "replicas"?), unknown field "spec.pausd" (did you mean "paused"?)`, []reflect.Type{deployment}},
		{"nothing near", `unknown field "spec.colour"`, `unknown field "spec.colour"`, []reflect.Type{deployment}},
		{"no such parent", `unknown field "specification.replicas"`, `unknown field "specification.replicas"`, []reflect.Type{deployment}},
		{"answered before", `unknown field "sepc" (did you mean "spec"?)`, `unknown field "sepc" (did you mean "spec"?)`, []reflect.Type{deployment}},
		{"by server-side apply", `.spec.template.spec.containers[name="web.1"].prots: field not declared in schema`,
			`.spec.template.spec.containers[name="web.1"].prots: field not declared in schema (did you mean "ports"?)`, []reflect.Type{deployment}},
		{"quotes quoted", `Invalid value: "x": unknown field \"spec.selectr\"`, `Invalid value: "x": unknown field \"spec.selectr\" (did you mean "selector"?)`, []reflect.Type{deployment}},
		{"the nearest of several kinds", `unknown field "spec.progresDeadlineSeconds"`,
			`unknown field "spec.progresDeadlineSeconds" (did you mean "progressDeadlineSeconds"?)`, []reflect.Type{service, deployment}},
		{"an empty name", `unknown field ""`, `unknown field ""`, []reflect.Type{deployment}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Suggest(test.text, test.types...); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"image", "image", 0}, {"imagee", "image", 1}, {"iamge", "image", 1},
		{"process", "progress", 2}, {"maxunavaliable", "maxunavailable", 1}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func FuzzSuggestNeverPanics(f *testing.F) {
	f.Add(`unknown field "spec.x[0].y"`)
	f.Add(`.a[: field not declared in schema`)
	f.Add("unknown field \"]].\\")
	f.Fuzz(func(t *testing.T, text string) {
		Suggest(text, reflect.TypeFor[*appsv1.Deployment]())
	})
}
