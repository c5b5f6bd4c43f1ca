package quota_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/quota"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// text prints what is not zero, sorted.
func text(list corev1.ResourceList) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if quantity := list[name]; !quantity.IsZero() {
			parts = append(parts, string(name)+"="+quantity.String())
		}
	}
	return strings.Join(parts, " ")
}

func podWith(requests, limits corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "a", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}},
		{Name: "b", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}},
	}}}
}

func TestWhatAPodUses(t *testing.T) {
	deleted := podWith(amounts("cpu", "1"), nil)
	deleted.DeletionTimestamp, deleted.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(noon.Add(-time.Minute))), ptr.To[int64](30)
	dying := deleted.DeepCopy()
	dying.DeletionGracePeriodSeconds = ptr.To[int64](90)
	ended := podWith(amounts("cpu", "1"), nil)
	ended.Status.Phase = corev1.PodSucceeded
	for _, test := range []struct {
		name string
		pod  *corev1.Pod
		want string
	}{
		{"nothing asked for", podWith(nil, nil), "count/pods=1 pods=1"},
		{"requests and limits", podWith(amounts("cpu", "100m", "memory", "1Gi"), amounts("cpu", "1")),
			"count/pods=1 cpu=200m limits.cpu=2 memory=2Gi pods=1 requests.cpu=200m requests.memory=2Gi"},
		{"huge pages and extended resources", podWith(amounts("hugepages-2Mi", "2Mi", "example.com/gpu", "1"), nil),
			"count/pods=1 hugepages-2Mi=4Mi pods=1 requests.example.com/gpu=2 requests.hugepages-2Mi=4Mi"},
		{"ended", ended, "count/pods=1"},
		{"being deleted", dying, "count/pods=1 cpu=2 pods=1 requests.cpu=2"},
		{"beyond its grace", deleted, "count/pods=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := text(quota.PodUsage(test.pod, noon)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWhatAServiceUses(t *testing.T) {
	two := []corev1.ServicePort{{Port: 1}, {Port: 2, NodePort: 30000}}
	for _, test := range []struct {
		spec corev1.ServiceSpec
		want string
	}{
		{corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: two}, "count/services=1 services=1"},
		{corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: two}, "count/services=1 services=1 services.nodeports=2"},
		{corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: two}, "count/services=1 services=1 services.loadbalancers=1 services.nodeports=2"},
		{corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: two, AllocateLoadBalancerNodePorts: ptr.To(false)}, "count/services=1 services=1 services.loadbalancers=1 services.nodeports=1"},
	} {
		if got := text(quota.ServiceUsage(&corev1.Service{Spec: test.spec})); got != test.want {
			t.Errorf("%s: got %s, want %s", test.spec.Type, got, test.want)
		}
	}
}

func TestPodsStateWhatIsLimited(t *testing.T) {
	pod := podWith(amounts("cpu", "1"), nil)
	pod.Spec.Containers[1].Resources.Requests = nil
	pod.Spec.InitContainers = []corev1.Container{{Name: "i"}}
	for _, test := range []struct {
		required []corev1.ResourceName
		want     string
	}{
		{[]corev1.ResourceName{"pods", "count/pods", "requests.example.com/gpu"}, ""},
		{[]corev1.ResourceName{"requests.cpu"}, "must specify requests.cpu for: b,i"},
		{[]corev1.ResourceName{"limits.memory", "cpu", "pods"}, "must specify cpu for: b,i; limits.memory for: a,b,i"},
	} {
		got := ""
		if err := quota.PodConstraints(test.required, pod); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v: got %q, want %q", test.required, got, test.want)
		}
	}
}

func TestNamesOfResources(t *testing.T) {
	for name, want := range map[corev1.ResourceName]string{
		"pods": "pods", "count/pods": "pods", "requests.cpu": "pods", "limits.memory": "pods", "requests.example.com/gpu": "pods", "hugepages-2Mi": "pods",
		"services": "services", "services.nodeports": "services", "count/services": "services",
		"configmaps": "counted configmaps", "count/deployments.apps": "counted deployments.apps", "count/deployments.extensions": "counted deployments.apps", "persistentvolumeclaims": "counted persistentvolumeclaims",
		"requests.storage": "", "limits.example.com/gpu": "",
	} {
		got := ""
		counted, ok := quota.Counted(name)
		switch {
		case quota.OfPods(name):
			got = "pods"
		case quota.OfServices(name):
			got = "services"
		case ok:
			got = "counted " + counted.String()
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	class := func(pod *corev1.Pod) corev1.PodQOSClass {
		if len(pod.Spec.Containers[0].Resources.Requests) > 0 {
			return corev1.PodQOSBurstable
		}
		return corev1.PodQOSBestEffort
	}
	plain := podWith(nil, nil)
	bound := podWith(amounts("cpu", "1"), nil)
	bound.Spec.ActiveDeadlineSeconds, bound.Spec.PriorityClassName = ptr.To[int64](10), "high"
	bound.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
		{PodAffinityTerm: corev1.PodAffinityTerm{Namespaces: []string{"other"}}}}}}
	exists := corev1.ScopeSelectorOpExists
	for _, test := range []struct {
		scope        corev1.ScopedResourceSelectorRequirement
		plain, bound bool
	}{
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeTerminating, Operator: exists}, false, true},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeNotTerminating, Operator: exists}, true, false},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeBestEffort, Operator: exists}, true, false},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeNotBestEffort, Operator: exists}, false, true},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: exists}, false, true},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpDoesNotExist}, true, false},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"high"}}, false, true},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpNotIn, Values: []string{"high"}}, true, false},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeCrossNamespacePodAffinity, Operator: exists}, false, true},
		{corev1.ScopedResourceSelectorRequirement{ScopeName: "Unheard", Operator: exists}, false, false},
	} {
		if got := quota.PodInScope(test.scope, plain, class); got != test.plain {
			t.Errorf("%v holds the plain Pod: %t", test.scope, got)
		}
		if got := quota.PodInScope(test.scope, bound, class); got != test.bound {
			t.Errorf("%v holds the bound Pod: %t", test.scope, got)
		}
	}
}
