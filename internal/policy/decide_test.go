package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/test/golden"
)

func TestScenarios(t *testing.T) {
	golden.Scenarios(t, func() *scene { return &scene{Snapshot{Node: "node"}} })
}

// scene is a Snapshot that statements build:
//
//	namespace NAME [key=value]...
//	pod NAMESPACE/NAME ADDRESS [key=value]... [node:NAME] [port:NAME:PORT[:PROTOCOL]] [hostNetwork] [ended]
//	policy NAMESPACE, with its spec below
type scene struct{ Snapshot }

func (s *scene) Do(statement string) error {
	line, below, _ := strings.Cut(statement, "\n")
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	switch words[0] {
	case "namespace":
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: words[1], Labels: map[string]string{}}}
		for _, word := range words[2:] {
			key, value, _ := strings.Cut(word, "=")
			namespace.Labels[key] = value
		}
		s.Namespaces = append(s.Namespaces, namespace)
	case "pod":
		s.Pods = append(s.Pods, podOf(words[1:]))
	case "policy":
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: words[1]}}
		s.Policies = append(s.Policies, policy)
		return yaml.UnmarshalStrict([]byte(below), &policy.Spec)
	default:
		return fmt.Errorf("no such statement")
	}
	return nil
}

func podOf(words []string) *corev1.Pod {
	namespace, name, _ := strings.Cut(words[0], "/")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{}}}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: words[1]}}
	for _, word := range words[2:] {
		parts := strings.Split(word, ":")
		switch {
		case parts[0] == "node":
			pod.Spec.NodeName = parts[1]
		case parts[0] == "port":
			number, _ := strconv.Atoi(parts[2])
			port := corev1.ContainerPort{Name: parts[1], ContainerPort: int32(number)}
			if len(parts) > 3 {
				port.Protocol = corev1.Protocol(parts[3])
			}
			pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, port)
		case word == "hostNetwork":
			pod.Spec.HostNetwork = true
		case word == "ended":
			pod.Status.Phase = corev1.PodSucceeded
		default:
			key, value, _ := strings.Cut(word, "=")
			pod.Labels[key] = value
		}
	}
	return pod
}

func (s *scene) Answer() string {
	decided := Decide(s.Snapshot)
	var lines []string
	for _, pod := range s.Pods {
		for addr, isolation := range decided {
			if addr.String() == pod.Status.PodIP {
				lines = append(lines, fmt.Sprintf("%s/%s\n  %s", pod.Namespace, pod.Name, strings.ReplaceAll(strings.TrimSpace(isolation.String()), "\n", "\n  ")))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// BenchmarkDecide decides about 200 Pods that 1,000 policies select in turn.
func BenchmarkDecide(b *testing.B) {
	s := scene{Snapshot{Node: "node"}}
	do := func(format string, args ...any) {
		if err := s.Do(fmt.Sprintf(format, args...)); err != nil {
			b.Fatal(err)
		}
	}
	do("namespace shop")
	for i := range 200 {
		do("pod shop/pod-%d 10.244.0.%d app=%d", i, i+2, i)
	}
	for i := range 1000 {
		do("policy shop\n{podSelector: {matchLabels: {app: '%d'}}, ingress: [{from: [{podSelector: {matchLabels: {app: '%d'}}}], ports: [{port: 8080}]}]}", i, (i+1)%200)
	}
	for b.Loop() {
		Decide(s.Snapshot)
	}
}
