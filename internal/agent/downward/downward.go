// Package downward reads what a Pod may know of itself: fields of its metadata
// and status, and its containers' requests and limits.
package downward

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Field is the value of a fieldRef. The Pod's status must have its addresses.
func Field(pod *corev1.Pod, path string) (string, error) {
	if name, key, ok := subscript(path); ok {
		switch name {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
		return "", fmt.Errorf("invalid fieldPath %q: only metadata.labels and metadata.annotations take a key", path)
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return pairs(pod.Labels), nil
	case "metadata.annotations":
		return pairs(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return pod.Status.HostIP, nil
	case "status.hostIPs":
		var ips []string
		for _, ip := range pod.Status.HostIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	case "status.podIP":
		return pod.Status.PodIP, nil
	case "status.podIPs":
		var ips []string
		for _, ip := range pod.Status.PodIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

// subscript splits metadata.labels['key'].
func subscript(path string) (name, key string, ok bool) {
	name, rest, found := strings.Cut(path, "['")
	if !found || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return name, strings.TrimSuffix(rest, "']"), true
}

func pairs(all map[string]string) string {
	var lines []string
	for key, value := range all {
		lines = append(lines, key+"="+strconv.Quote(value))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// Resource is the value of a resourceFieldRef: a request or limit of the named
// container, or of c if the reference names none. A limit that is not set is
// what the node can give.
func Resource(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector, node corev1.ResourceList) (string, error) {
	if ref.ContainerName != "" {
		c = find(pod, ref.ContainerName)
	}
	if c == nil {
		return "", fmt.Errorf("container %q is not in the Pod", ref.ContainerName)
	}
	kind, name, ok := strings.Cut(ref.Resource, ".")
	var quantity resource.Quantity
	switch {
	case ok && kind == "limits":
		quantity = c.Resources.Limits[corev1.ResourceName(name)]
		if quantity.IsZero() {
			quantity = node[corev1.ResourceName(name)]
		}
	case ok && kind == "requests":
		quantity = c.Resources.Requests[corev1.ResourceName(name)]
	default:
		return "", fmt.Errorf("unsupported container resource : %v", ref.Resource)
	}
	return divided(quantity, ref.Divisor, name), nil
}

func divided(quantity, divisor resource.Quantity, name string) string {
	if name == string(corev1.ResourceCPU) {
		by := int64(1000)
		if !divisor.IsZero() {
			by = divisor.MilliValue()
		}
		return strconv.FormatInt(int64(math.Ceil(float64(quantity.MilliValue())/float64(by))), 10)
	}
	by := int64(1)
	if !divisor.IsZero() {
		by = divisor.Value()
	}
	return strconv.FormatInt(int64(math.Ceil(float64(quantity.Value())/float64(by))), 10)
}

func find(pod *corev1.Pod, name string) *corev1.Container {
	for i, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name != name {
			continue
		}
		if i < len(pod.Spec.InitContainers) {
			return &pod.Spec.InitContainers[i]
		}
		return &pod.Spec.Containers[i-len(pod.Spec.InitContainers)]
	}
	return nil
}
