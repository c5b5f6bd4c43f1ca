// Package cgroups makes and removes the cgroups of Pods.
//
// Below a root of our own there is, as on any Kubernetes node, one cgroup for
// each Pod, those of Burstable and BestEffort Pods in a parent of their class.
// It has the Pod's share of the CPU and the sum of its containers' limits; the
// runtime makes the containers' cgroups inside. cgroup v1, hybrid and v2 work.
package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	resources "k8s.io/component-helpers/resource"

	"coxswain.dev/cox/internal/podlifecycle"
)

const mountPoint = "/sys/fs/cgroup"

// Tree is where Pods' cgroups are.
type Tree struct {
	// Root is the cgroup of all Pods, an absolute path within a hierarchy.
	Root string
}

// unified tells whether the machine has cgroup v2 alone.
func unified() bool {
	var info unix.Statfs_t
	return unix.Statfs(mountPoint, &info) == nil && info.Type == unix.CGROUP2_SUPER_MAGIC
}

// Path is the cgroup of a Pod, for the runtime.
func (t Tree) Path(pod *corev1.Pod) string {
	class := ""
	switch podlifecycle.QOSClass(pod) {
	case corev1.PodQOSBurstable:
		class = "burstable"
	case corev1.PodQOSBestEffort:
		class = "besteffort"
	}
	return filepath.Join(t.Root, class, "pod"+string(pod.UID))
}

// Make makes the cgroup of a Pod and sets its limits.
func (t Tree) Make(pod *corev1.Pod) error {
	path := t.Path(pod)
	limits := limitsOf(pod)
	if unified() {
		if err := makeUnified(path); err != nil {
			return fmt.Errorf("making cgroup %s: %w", path, err)
		}
		return limits.writeUnified(filepath.Join(mountPoint, path))
	}
	for _, controller := range []string{"cpu", "memory"} {
		if err := os.MkdirAll(filepath.Join(mountPoint, controller, path), 0o755); err != nil {
			return fmt.Errorf("making cgroup %s: %w", path, err)
		}
	}
	return limits.write(filepath.Join(mountPoint, "cpu", path), filepath.Join(mountPoint, "memory", path))
}

// makeUnified makes every folder on the way, and hands down the controllers.
func makeUnified(path string) error {
	dir := mountPoint
	for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
		for _, controller := range []string{"cpu", "memory", "pids", "cpuset", "io"} {
			// Not every machine has every one.
			os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		}
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// hierarchies are where cgroups are: one with cgroup v2, else one for each
// controller.
func hierarchies() []string {
	if unified() {
		return []string{mountPoint}
	}
	all, _ := filepath.Glob(mountPoint + "/*")
	return all
}

// RemoveAll removes the cgroups of all Pods, and their root. Containers must be
// gone.
func (t Tree) RemoveAll() error {
	var errs []error
	for _, hierarchy := range hierarchies() {
		errs = append(errs, removeAll(filepath.Join(hierarchy, t.Root)))
	}
	return errors.Join(errs...)
}

// Remove removes the cgroups of a Pod, whatever its class was, in every
// hierarchy. Containers must be gone.
func (t Tree) Remove(uid string) error {
	for _, hierarchy := range hierarchies() {
		for _, class := range []string{"", "burstable", "besteffort"} {
			if err := removeAll(filepath.Join(hierarchy, t.Root, class, "pod"+uid)); err != nil {
				return err // the others would say the same
			}
		}
	}
	return nil
}

// removeAll removes a cgroup with those inside it.
func removeAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there is none
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing cgroup %s: %w", dir, err)
	}
	return nil
}

// limits are what a Pod may use.
type limits struct {
	shares int64
	// quota is in microseconds a period, memory in bytes; 0 is no limit.
	quota, memory int64
}

// Shares are the CPU shares of so many thousandths of a core.
func Shares(milli int64) int64 { return min(max(milli*1024/1000, 2), 262144) }

// Period is the time in microseconds that a quota is for.
const Period = 100_000

// Quota is the time per Period of so many thousandths of a core, 0 for none.
func Quota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*Period/1000, 1000)
}

func limitsOf(pod *corev1.Pod) limits {
	total := resources.PodLimits(pod, resources.PodResourcesOptions{})
	requests := resources.PodRequests(pod, resources.PodResourcesOptions{})
	l := limits{shares: Shares(requests.Cpu().MilliValue())}
	if limited(pod, corev1.ResourceCPU) {
		l.quota = Quota(total.Cpu().MilliValue())
	}
	if limited(pod, corev1.ResourceMemory) {
		l.memory = total.Memory().Value()
	}
	return l
}

// limited tells whether a Pod, or every one of its containers, has a limit.
func limited(pod *corev1.Pod, name corev1.ResourceName) bool {
	if pod.Spec.Resources != nil {
		if _, whole := pod.Spec.Resources.Limits[name]; whole {
			return true
		}
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if limit := list[i].Resources.Limits[name]; limit.IsZero() {
				return false
			}
		}
	}
	return true
}

func (l limits) write(cpu, memory string) error {
	err := set(cpu, "cpu.shares", l.shares)
	if l.quota > 0 {
		err = errors.Join(err, set(cpu, "cpu.cfs_period_us", Period), set(cpu, "cpu.cfs_quota_us", l.quota))
	}
	if l.memory > 0 {
		err = errors.Join(err, set(memory, "memory.limit_in_bytes", l.memory))
	}
	return err
}

func (l limits) writeUnified(dir string) error {
	err := set(dir, "cpu.weight", 1+(l.shares-2)*9999/262142)
	if l.quota > 0 {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "cpu.max"), fmt.Appendf(nil, "%d %d", l.quota, Period), 0))
	}
	if l.memory > 0 {
		err = errors.Join(err, set(dir, "memory.max", l.memory))
	}
	return err
}

func set(dir, name string, value int64) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(strconv.FormatInt(value, 10)), 0)
}

// OOMScore is how likely a container's processes are to be killed when the
// machine runs out of memory.
func OOMScore(pod *corev1.Pod, c *corev1.Container, machineMemory int64) int64 {
	switch podlifecycle.QOSClass(pod) {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	if machineMemory <= 0 {
		return 999
	}
	return min(max(1000-1000*c.Resources.Requests.Memory().Value()/machineMemory, 3), 999)
}
