package agent

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// machine is what the agent runs on.
type machine struct {
	capacity corev1.ResourceList
	info     corev1.NodeSystemInfo
}

// maxPods is how many Pods a node takes, as on any Kubernetes node.
const maxPods = 110

// examineMachine reads what the machine has. dataDir is on the disk that Pods
// share.
func examineMachine(dataDir string) (machine, error) {
	memory, err := totalMemory()
	if err != nil {
		return machine{}, fmt.Errorf("reading the machine's memory: %w", err)
	}
	m := machine{capacity: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(maxPods, resource.DecimalSI),
	}}
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return machine{}, fmt.Errorf("making the data directory: %w", err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dataDir, &disk); err != nil {
		return machine{}, fmt.Errorf("reading the size of the disk at %s: %w", dataDir, err)
	}
	m.capacity[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(int64(disk.Blocks)*disk.Bsize, resource.BinarySI)
	m.info = corev1.NodeSystemInfo{
		Architecture:    runtime.GOARCH,
		OperatingSystem: "linux",
		KernelVersion:   firstLine("/proc/sys/kernel/osrelease"),
		BootID:          firstLine("/proc/sys/kernel/random/boot_id"),
		MachineID:       firstLine("/etc/machine-id"),
		SystemUUID:      firstLine("/sys/class/dmi/id/product_uuid"),
		OSImage:         osImage(),
	}
	return m, nil
}

func totalMemory() (int64, error) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "MemTotal:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemTotal: %v", lines.Err())
}

// firstLine is empty for a file that is not there.
func firstLine(path string) string {
	content, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimSpace(line)
}

func osImage() string {
	content, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(content)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			return strings.Trim(name, `"`)
		}
	}
	return "Linux"
}
