package core_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"coxswain.dev/cox/internal/apis/core"
)

// amounts makes a list from pairs: "cpu", "1".
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func podWith(requests, limits corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "a", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}},
	}}}
}

func rangeOf(items ...corev1.LimitRangeItem) *corev1.LimitRange {
	limits := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: items}}
	core.SetLimitRangeDefaults(limits)
	return limits
}

func TestLimitRangeDefaultsComeFromItsBounds(t *testing.T) {
	for _, test := range []struct {
		name                    string
		item                    corev1.LimitRangeItem
		wantLimits, wantRequest string
	}{
		{"max", corev1.LimitRangeItem{Max: amounts("cpu", "2")}, "2", "2"},
		{"default below max", corev1.LimitRangeItem{Max: amounts("cpu", "2"), Default: amounts("cpu", "1")}, "1", "1"},
		{"default request", corev1.LimitRangeItem{Default: amounts("cpu", "1"), DefaultRequest: amounts("cpu", "500m")}, "1", "500m"},
		{"min alone", corev1.LimitRangeItem{Min: amounts("cpu", "100m")}, "0", "100m"},
		{"min and max", corev1.LimitRangeItem{Min: amounts("cpu", "100m"), Max: amounts("cpu", "1")}, "1", "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.item.Type = corev1.LimitTypeContainer
			item := rangeOf(test.item).Spec.Limits[0]
			if got := item.Default.Cpu().String(); got != test.wantLimits {
				t.Errorf("default limit %s, want %s", got, test.wantLimits)
			}
			if got := item.DefaultRequest.Cpu().String(); got != test.wantRequest {
				t.Errorf("default request %s, want %s", got, test.wantRequest)
			}
		})
	}
	if pods := rangeOf(corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: amounts("cpu", "2")}); pods.Spec.Limits[0].Default != nil {
		t.Errorf("a bound on Pods got a default: %v", pods.Spec.Limits[0])
	}
}

func TestLimitDefaultsFillWhatIsLeftOut(t *testing.T) {
	limits := rangeOf(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer,
		Default: amounts("cpu", "1", "memory", "64Mi"), DefaultRequest: amounts("cpu", "500m", "memory", "32Mi")})
	pod := podWith(amounts("cpu", "100m"), nil)
	pod.Spec.InitContainers = []corev1.Container{{Name: "i", Resources: corev1.ResourceRequirements{Limits: amounts("cpu", "2", "memory", "1Gi")}}}
	core.ApplyLimitDefaults(limits, pod)
	want := "LimitRanger plugin set: memory request for container a; cpu, memory limit for container a; cpu, memory request for init container i"
	if got := pod.Annotations["kubernetes.io/limit-ranger"]; got != want {
		t.Errorf("annotation %q, want %q", got, want)
	}
	got := pod.Spec.Containers[0].Resources
	if got.Requests.Cpu().String() != "100m" || got.Requests.Memory().String() != "32Mi" || got.Limits.Cpu().String() != "1" {
		t.Errorf("got %v", got)
	}
	untouched := podWith(amounts("cpu", "1", "memory", "1"), amounts("cpu", "1", "memory", "1"))
	if core.ApplyLimitDefaults(limits, untouched); untouched.Annotations != nil {
		t.Errorf("nothing was missing, yet %v", untouched.Annotations)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	container, wholePod := corev1.LimitTypeContainer, corev1.LimitTypePod
	for _, test := range []struct {
		name string
		item corev1.LimitRangeItem
		pod  *corev1.Pod
		want string
	}{
		{"within", corev1.LimitRangeItem{Type: container, Min: amounts("cpu", "1"), Max: amounts("cpu", "2")}, podWith(amounts("cpu", "1"), amounts("cpu", "2")), ""},
		{"no request", corev1.LimitRangeItem{Type: container, Min: amounts("cpu", "1")}, podWith(nil, nil), "minimum cpu usage per Container is 1.  No request is specified"},
		{"request too small", corev1.LimitRangeItem{Type: container, Min: amounts("memory", "1Gi")}, podWith(amounts("memory", "512Mi"), nil), "minimum memory usage per Container is 1Gi, but request is 512Mi"},
		{"limit too small", corev1.LimitRangeItem{Type: container, Min: amounts("cpu", "1")}, podWith(amounts("cpu", "1"), amounts("cpu", "500m")), "minimum cpu usage per Container is 1, but limit is 500m"},
		{"no limit", corev1.LimitRangeItem{Type: container, Max: amounts("cpu", "1")}, podWith(nil, nil), "maximum cpu usage per Container is 1.  No limit is specified"},
		{"limit too big", corev1.LimitRangeItem{Type: container, Max: amounts("cpu", "1")}, podWith(nil, amounts("cpu", "2")), "maximum cpu usage per Container is 1, but limit is 2"},
		{"request too big", corev1.LimitRangeItem{Type: container, Max: amounts("cpu", "1")}, podWith(amounts("cpu", "3"), amounts("cpu", "1")), "maximum cpu usage per Container is 1, but request is 3"},
		{"ratio", corev1.LimitRangeItem{Type: container, MaxLimitRequestRatio: amounts("cpu", "1500m")}, podWith(amounts("cpu", "1"), amounts("cpu", "2")), "cpu max limit to request ratio per Container is 1500m, but provided ratio is 2.000000"},
		{"ratio without request", corev1.LimitRangeItem{Type: container, MaxLimitRequestRatio: amounts("cpu", "2")}, podWith(nil, amounts("cpu", "2")), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		{"ratio without limit", corev1.LimitRangeItem{Type: container, MaxLimitRequestRatio: amounts("cpu", "2")}, podWith(amounts("cpu", "2"), nil), "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"},
		{"whole Pod", corev1.LimitRangeItem{Type: wholePod, Max: amounts("memory", "1Gi")}, podWith(nil, amounts("memory", "2Gi")), "maximum memory usage per Pod is 1Gi, but limit is 2Gi"},
		{"several", corev1.LimitRangeItem{Type: container, Max: amounts("cpu", "1", "memory", "1Gi")}, podWith(nil, amounts("cpu", "2", "memory", "2Gi")),
			"[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := core.CheckLimits(&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{test.item}}}, test.pod); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
