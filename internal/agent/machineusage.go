package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"coxswain.dev/cox/internal/usage"
)

// machineFiles are where the kernel tells what the whole machine uses.
type machineFiles struct{ proc, cgroups string }

var kernelFiles = machineFiles{proc: "/proc", cgroups: "/sys/fs/cgroup"}

// node is what the machine uses, without what cannot be read.
func (f machineFiles) node(name string) usage.Node {
	node := usage.Node{Name: name}
	if taken, err := f.cpu(); err == nil {
		node.CPU = &usage.CPU{Time: time.Now(), UsageCoreNanoSeconds: taken}
	}
	if bytes, err := f.workingSet(); err == nil {
		node.Memory = &usage.Memory{Time: time.Now(), WorkingSetBytes: bytes}
	}
	return node
}

// cpu is the processor time that the machine has taken, in nanoseconds: what
// the root cgroup counts (v1 and hybrid, then v2), which is exact, or else what
// /proc/stat counts in ticks.
func (f machineFiles) cpu() (uint64, error) {
	if text, err := os.ReadFile(filepath.Join(f.cgroups, "cpuacct/cpuacct.usage")); err == nil {
		return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	if microseconds, err := field(filepath.Join(f.cgroups, "cpu.stat"), "usage_usec"); err == nil {
		return microseconds * 1000, nil
	}
	return f.ticks()
}

// ticks sums the first line of /proc/stat up: user, nice, system, irq and
// softirq, but not idle, iowait and what other machines took.
func (f machineFiles) ticks() (uint64, error) {
	const nanosecondsATick = 1e9 / 100 // USER_HZ, the same on every Linux
	text, err := os.ReadFile(filepath.Join(f.proc, "stat"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("%s/stat begins with %q", f.proc, line)
	}
	var sum uint64
	for _, n := range []int{1, 2, 3, 6, 7} {
		count, err := strconv.ParseUint(fields[n], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s/stat begins with %q: %w", f.proc, line, err)
		}
		sum += count
	}
	return sum * nanosecondsATick, nil
}

// workingSet is the memory in use without the files that were not used lately.
// The root cgroup of v2 does not tell it, so that it comes from /proc/meminfo
// for every version.
func (f machineFiles) workingSet() (uint64, error) {
	path := filepath.Join(f.proc, "meminfo")
	total, err := field(path, "MemTotal:")
	if err != nil {
		return 0, err
	}
	free, err := field(path, "MemFree:")
	if err != nil {
		return 0, err
	}
	inactive, err := field(path, "Inactive(file):")
	if err != nil {
		return 0, err
	}
	if free+inactive > total {
		return 0, nil
	}
	return (total - free - inactive) << 10, nil
}

// field reads a number from a file of lines that begin with its name.
func field(path, name string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return strconv.ParseUint(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
