package cgroups

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// amounts are CPU and memory, "" for none.
func amounts(cpu, memory string) corev1.ResourceList {
	list := corev1.ResourceList{}
	if cpu != "" {
		list[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		list[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return list
}

func podOf(containers ...corev1.ResourceRequirements) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	for _, resources := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Resources: resources})
	}
	return pod
}

func TestPodsAreLimitedByTheirClass(t *testing.T) {
	half := corev1.ResourceRequirements{Requests: amounts("500m", "64Mi"), Limits: amounts("500m", "64Mi")}
	some := corev1.ResourceRequirements{Requests: amounts("100m", ""), Limits: amounts("", "64Mi")}
	for _, test := range []struct {
		name string
		pod  *corev1.Pod
		path string
		want limits
	}{
		{"guaranteed", podOf(half, half), "/root/podu", limits{shares: 1024, quota: 100_000, memory: 128 << 20}},
		{"burstable", podOf(some), "/root/burstable/podu", limits{shares: 102, memory: 64 << 20}},
		{"one container without a limit makes the Pod unlimited", podOf(half, some), "/root/burstable/podu", limits{shares: 614, memory: 128 << 20}},
		{"best effort", podOf(corev1.ResourceRequirements{}), "/root/besteffort/podu", limits{shares: 2}},
	} {
		if got := (Tree{"/root"}).Path(test.pod); got != test.path {
			t.Errorf("%s: path %s, want %s", test.name, got, test.path)
		}
		if got := limitsOf(test.pod); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestAllCgroupsAreRemoved: a reset leaves none, those of other trees aside.
func TestAllCgroupsAreRemoved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making cgroups needs root")
	}
	tree, other := Tree{fmt.Sprintf("/coxcgroups-%d", os.Getpid())}, Tree{fmt.Sprintf("/coxcgroups-%d-other", os.Getpid())}
	t.Cleanup(func() { other.RemoveAll() })
	some := corev1.ResourceRequirements{Requests: amounts("100m", "")}
	for _, tree := range []Tree{tree, other} {
		for _, pod := range []*corev1.Pod{podOf(some), podOf(corev1.ResourceRequirements{})} {
			if err := tree.Make(pod); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tree.RemoveAll(); err != nil {
		t.Error(err)
	}
	if left := found(tree); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	if len(found(other)) == 0 {
		t.Error("those of another tree are gone too")
	}
	if err := tree.RemoveAll(); err != nil {
		t.Errorf("with nothing to remove: %v", err)
	}
}

func found(tree Tree) []string {
	var all []string
	for _, hierarchy := range hierarchies() {
		if _, err := os.Stat(filepath.Join(hierarchy, tree.Root)); err == nil {
			all = append(all, hierarchy)
		}
	}
	return all
}

func TestLimitsAreWrittenForBothVersions(t *testing.T) {
	l := limits{shares: 1024, quota: 150_000, memory: 64 << 20}
	v1, v2 := t.TempDir(), t.TempDir()
	for dir, names := range map[string][]string{v1: {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes"}, v2: {"cpu.weight", "cpu.max", "memory.max"}} {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.write(v1, v1); err != nil {
		t.Fatal(err)
	}
	if err := l.writeUnified(v2); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		v1 + "/cpu.shares": "1024", v1 + "/cpu.cfs_period_us": "100000", v1 + "/cpu.cfs_quota_us": "150000", v1 + "/memory.limit_in_bytes": "67108864",
		v2 + "/cpu.weight": "39", v2 + "/cpu.max": "150000 100000", v2 + "/memory.max": "67108864",
	} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %s", path, got, err, want)
		}
	}
}

func TestOOMScore(t *testing.T) {
	const gib = 1 << 30
	request := func(memory string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: amounts("", memory)}
	}
	full := corev1.ResourceRequirements{Requests: amounts("1", "1Gi"), Limits: amounts("1", "1Gi")}
	for _, test := range []struct {
		name    string
		pod     *corev1.Pod
		machine int64
		want    int64
	}{
		{"guaranteed", podOf(full), 4 * gib, -997}, {"best effort", podOf(corev1.ResourceRequirements{}), 4 * gib, 1000},
		{"a quarter of the machine", podOf(request("1Gi")), 4 * gib, 750}, {"all of it", podOf(request("4Gi")), 4 * gib, 3},
		{"next to nothing", podOf(request("1Ki")), 4 * gib, 999}, {"a machine of unknown size", podOf(request("1Gi")), 0, 999},
	} {
		if got := OOMScore(test.pod, &test.pod.Spec.Containers[0], test.machine); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestSharesAndQuotasHaveBounds(t *testing.T) {
	for milli, want := range map[int64][2]int64{0: {2, 0}, 1: {2, 1000}, 1000: {1024, 100_000}, 1 << 40: {262144, (1 << 40) * 100}} {
		if Shares(milli) != want[0] || Quota(milli) != want[1] {
			t.Errorf("%d thousandths: %d shares, quota %d, want %v", milli, Shares(milli), Quota(milli), want)
		}
	}
}
