package diagnose

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Snapshot is what a Service is judged by; all but Namespaces and Others is of
// its namespace.
type Snapshot struct {
	Service *corev1.Service
	Slices  []*discoveryv1.EndpointSlice // of the Service
	Pods    []*corev1.Pod
	// Others are the Pods of other namespaces, of whom policies may speak.
	Others     []*corev1.Pod
	Policies   []*networkingv1.NetworkPolicy
	Namespaces []*corev1.Namespace
	// Services are all of the namespace, whom an ExternalName may mean.
	Services []*corev1.Service
	// NameServer is where Pods' questions for names are led; invalid if that
	// is not known.
	NameServer netip.Addr
	// Events are those about the Service, the newest last.
	Events []*corev1.Event
}

// Finding is one thing that is wrong.
type Finding struct {
	// Problem is what is wrong, Advice what to do.
	Problem string `json:"problem"`
	Advice  string `json:"advice"`
}

// Service says what keeps a Service from answering; nothing if all is well.
func Service(s Snapshot) []Finding {
	service := s.Service
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return alias(s) // it is a name in DNS, and leads to nothing of ours
	case len(service.Spec.Selector) == 0:
		return append(withoutSelector(s), pending(s)...)
	}
	s.Pods = slices.DeleteFunc(slices.Clone(s.Pods), func(pod *corev1.Pod) bool {
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	})
	selected := slices.DeleteFunc(slices.Clone(s.Pods), func(pod *corev1.Pod) bool {
		return !labels.SelectorFromValidatedSet(service.Spec.Selector).Matches(labels.Set(pod.Labels))
	})
	var findings []Finding
	if len(selected) == 0 {
		findings = append(findings, noPods(s))
	} else {
		findings = append(findings, ports(service, selected)...)
		findings = append(findings, unready(service, selected)...)
		findings = append(findings, closed(s, selected)...)
		findings = append(findings, nameless(s, selected)...)
		findings = append(findings, deaf(s, selected)...)
		findings = append(findings, unrouted(selected)...)
	}
	return append(findings, pending(s)...)
}

func withoutSelector(s Snapshot) []Finding {
	for _, slice := range s.Slices {
		if len(slice.Endpoints) > 0 {
			return nil
		}
	}
	return []Finding{{
		"it has no selector, and no EndpointSlice or Endpoints of its own: it leads nowhere",
		fmt.Sprintf("give it a selector, or make an EndpointSlice with the label %s=%s", discoveryv1.LabelServiceName, s.Service.Name),
	}}
}

// noPods finds the Pods whose labels come nearest to the selector.
func noPods(s Snapshot) Finding {
	selector := labels.Set(s.Service.Spec.Selector).String()
	nearest, differs := nearestPod(s.Service.Spec.Selector, s.Pods)
	if nearest == nil {
		return Finding{
			fmt.Sprintf("no Pod in the namespace %s has the labels %s", s.Service.Namespace, selector),
			"make some, or correct the Service's selector: kubectl edit service " + s.Service.Name,
		}
	}
	return Finding{
		fmt.Sprintf("no Pod has the labels %s; Pod %s comes nearest, and has %s", selector, nearest.Name, differs),
		fmt.Sprintf("correct the selector: kubectl set selector service %s %s", s.Service.Name, fitting(s.Service.Spec.Selector, nearest)),
	}
}

// nearestPod is the Pod that has most of the selector's keys and values, and
// says what it has instead of the others.
func nearestPod(selector map[string]string, pods []*corev1.Pod) (nearest *corev1.Pod, differs string) {
	best := 0
	for _, pod := range pods {
		score := 0
		var others []string
		for _, key := range sortedKeys(selector) {
			switch value, has := pod.Labels[key]; {
			case has && value == selector[key]:
				score += 3
			case has:
				score++
				others = append(others, key+"="+value)
			default:
				others = append(others, "no label "+key)
			}
		}
		if score > best || score == best && nearest != nil && pod.Name < nearest.Name {
			best, nearest, differs = score, pod, strings.Join(others, " and ")
		}
	}
	return nearest, differs
}

// fitting is the selector with the values of a Pod.
func fitting(selector map[string]string, pod *corev1.Pod) string {
	fit := labels.Set{}
	for key := range selector {
		if value, has := pod.Labels[key]; has {
			fit[key] = value
		}
	}
	return fit.String()
}

// ports finds target ports that no container declares.
func ports(service *corev1.Service, pods []*corev1.Pod) []Finding {
	var findings []Finding
	for _, port := range service.Spec.Ports {
		protocol := cmp.Or(port.Protocol, corev1.ProtocolTCP)
		declared, found := declaredPorts(pods), false
		for _, d := range declared {
			named := port.TargetPort.Type == intstr.String
			found = found || d.Protocol == protocol && (named && d.Name == port.TargetPort.StrVal || !named && int(d.ContainerPort) == target(port))
		}
		if found || len(declared) == 0 && port.TargetPort.Type == intstr.Int {
			continue // containers need not declare what they listen on
		}
		problem := fmt.Sprintf("its port %d/%s leads to port %s of the Pods, which no container declares; declared: %s",
			port.Port, protocol, targetText(port), portList(declared))
		findings = append(findings, Finding{problem, "correct targetPort, or the containers' ports, unless a container listens there all the same"})
	}
	return findings
}

func target(port corev1.ServicePort) int {
	if port.TargetPort.IntVal == 0 {
		return int(port.Port)
	}
	return int(port.TargetPort.IntVal)
}

func targetText(port corev1.ServicePort) string {
	if port.TargetPort.Type == intstr.String {
		return fmt.Sprintf("%q", port.TargetPort.StrVal)
	}
	return fmt.Sprint(target(port))
}

func declaredPorts(pods []*corev1.Pod) []corev1.ContainerPort {
	var declared []corev1.ContainerPort
	for _, pod := range pods {
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			for _, port := range container.Ports {
				port = corev1.ContainerPort{Name: port.Name, ContainerPort: port.ContainerPort, Protocol: cmp.Or(port.Protocol, corev1.ProtocolTCP)}
				if !slices.Contains(declared, port) {
					declared = append(declared, port)
				}
			}
		}
	}
	return declared
}

func portList(ports []corev1.ContainerPort) string {
	if len(ports) == 0 {
		return "none"
	}
	var texts []string
	for _, port := range ports {
		text := fmt.Sprintf("%d/%s", port.ContainerPort, port.Protocol)
		if port.Name != "" {
			text = port.Name + " (" + text + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// pending says why a load balancer has no address.
func pending(s Snapshot) []Finding {
	if s.Service.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Service.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	finding := Finding{"it is a LoadBalancer and has no address yet", "see kubectl describe service " + s.Service.Name}
	for _, event := range s.Events {
		if event.Type == corev1.EventTypeWarning {
			finding.Problem = "it is a LoadBalancer and has no address: " + event.Message
		}
	}
	return []Finding{finding}
}

func sortedKeys(set map[string]string) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
