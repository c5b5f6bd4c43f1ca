package placement_test

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/placement"
)

// world is what a scenario has built so far.
type world struct {
	pod      *corev1.Pod
	snapshot placement.Snapshot
}

func newWorld() *world {
	w := &world{}
	w.pod = newPod("web")
	w.snapshot.Namespaces = map[string]labels.Set{"default": {"team": "a"}, "other": {"team": "b"}}
	return w
}

func newPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
	}
}

func (w *world) decide() placement.Decision {
	w.snapshot.Pod = w.pod
	return placement.Decide(w.snapshot)
}

// Answer is the decision about the world as it is.
func (w *world) Answer() string { return w.decide().String() }

// Do reads one statement:
//
//	node NAME [settings of changeNode]   a ready node of 4 CPUs, 8Gi and 110 Pods; again: changed
//	pod [NAME] [settings of changePod]   the Pod to be placed, and below it more of it in YAML
//	on NODE NAME [settings, YAML]        a Pod that is on a node already
//	place                                the Pod goes where the last decision says
func (w *world) Do(statement string) error {
	line, more, _ := strings.Cut(statement, "\n")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return nil
	}
	switch verb, rest := fields[0], fields[1:]; verb {
	case "node":
		return w.changeNode(rest[0], rest[1:])
	case "pod":
		name := "web"
		if len(rest) > 0 && !strings.Contains(rest[0], "=") {
			name, rest = rest[0], rest[1:]
		}
		pod, err := podOf(name, rest, more)
		w.pod = pod
		return err
	case "on":
		pod, err := podOf(rest[1], rest[2:], more)
		if err != nil {
			return err
		}
		return w.place(pod, rest[0])
	case "place":
		return w.place(w.pod, w.decide().Node)
	default:
		return fmt.Errorf("no such verb")
	}
}

func (w *world) place(pod *corev1.Pod, node string) error {
	i := slices.IndexFunc(w.snapshot.Nodes, func(n placement.Node) bool { return n.Name == node })
	if i < 0 {
		return fmt.Errorf("no node %q", node)
	}
	w.snapshot.Nodes[i].Used.Add(pod, 1)
	w.snapshot.Placed = append(w.snapshot.Placed, placement.Placed{Pod: pod, Node: node})
	return nil
}

// podOf makes a Pod of one container. Settings: cpu, memory or any resource's
// name = what it requests; port=HOSTPORT[/PROTOCOL[/IP]]; label:KEY=VALUE;
// namespace=…; the YAML adds to that.
func podOf(name string, settings []string, more string) (*corev1.Pod, error) {
	pod := newPod(name)
	pod.Labels = map[string]string{}
	main := &pod.Spec.Containers[0]
	main.Resources.Requests = corev1.ResourceList{}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		label, isLabel := strings.CutPrefix(key, "label:")
		switch {
		case isLabel:
			pod.Labels[label] = value
		case key == "namespace":
			pod.Namespace = value
		case key == "port":
			part := strings.Split(value+"//", "/")
			port := corev1.ContainerPort{Protocol: corev1.Protocol(part[1]), HostIP: part[2]}
			if _, err := fmt.Sscan(part[0], &port.HostPort); err != nil {
				return nil, err
			}
			main.Ports = append(main.Ports, port)
		default:
			quantity, err := resource.ParseQuantity(value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", setting, err)
			}
			main.Resources.Requests[corev1.ResourceName(key)] = quantity
		}
	}
	if strings.Contains(more, "containers:") && !strings.Contains(more, "initContainers:") {
		pod.Spec.Containers = nil
	}
	return pod, yaml.UnmarshalStrict([]byte(more), pod)
}
