package routing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"coxswain.dev/cox/test/golden"
)

// TestDecide reads every testdata/*.yaml, manifests of a Service and its
// EndpointSlices, or of a Pod, and compares the rules with the file *.rules
// beside it. This machine's Node is "here".
func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			got := decideFile(t, file)
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".rules", got)
		})
	}
}

func decideFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := Snapshot{Node: "here"}
	var rules Rules
	for _, document := range strings.Split(string(content), "\n---\n") {
		object, _, err := decoder.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch o := object.(type) {
		case *corev1.Service:
			s.Service = o
		case *discoveryv1.EndpointSlice:
			s.Slices = append(s.Slices, o)
		case *corev1.Pod:
			rules = append(rules, HostPorts(o)...)
		}
	}
	if s.Service != nil {
		rules = Decide(s)
	}
	return rules.String()
}

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme).UniversalDeserializer()
}()
