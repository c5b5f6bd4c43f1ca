package cri

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// CgroupMode is how the machine's control groups are laid out.
type CgroupMode string

const (
	CgroupV1     CgroupMode = "v1"     // one hierarchy per controller
	CgroupHybrid CgroupMode = "hybrid" // as v1; the unified hierarchy exists too but holds no controllers we use
	CgroupV2     CgroupMode = "v2"     // the unified hierarchy alone
)

// CgroupDriver is how cgroups are made. Ours are always made in the file
// system, in a root of their own, also below systemd: see docs/adr/0003-engine.md.
const CgroupDriver = "cgroupfs"

// CgroupRoot is the cgroup below which everything of ours lives, in every
// hierarchy: the engine in CgroupRoot/engine, Pods where the agent puts them.
const CgroupRoot = "/coxswain"

// Cgroups describes the machine's control groups.
type Cgroups struct {
	Mode CgroupMode
	// Mounts has the directory of each v1 controller, and of the unified
	// hierarchy under "". On v2 it has only that.
	Mounts map[string]string
}

// DetectCgroups finds the control groups of this machine. Without them no
// container can start, and the error says what to do.
func DetectCgroups() (Cgroups, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Cgroups{}, fmt.Errorf("finding the cgroups: %w", err)
	}
	defer file.Close()
	cgroups := Cgroups{Mounts: map[string]string{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		cgroups.addMount(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return Cgroups{}, fmt.Errorf("finding the cgroups: %w", err)
	}
	_, memory := cgroups.Mounts["memory"]
	_, unified := cgroups.Mounts[""]
	switch {
	case memory && unified:
		cgroups.Mode = CgroupHybrid
	case memory:
		cgroups.Mode = CgroupV1
	case unified:
		cgroups.Mode = CgroupV2
	default:
		return Cgroups{}, errors.New("no cgroups are mounted at /sys/fs/cgroup, and containers need them: mount them (systemd does), " +
			"give the container that cox runs in access to them, and enter a network namespace with `nsenter --net=…`, as `ip netns exec` hides them")
	}
	return cgroups, nil
}

// addMount notes one line of mountinfo: fields, a dash, the type, the source
// and the super block's options, which name a v1 hierarchy's controllers.
func (c Cgroups) addMount(line string) {
	before, after, found := strings.Cut(line, " - ")
	fields, super := strings.Fields(before), strings.Fields(after)
	if !found || len(fields) < 5 || len(super) < 3 || !strings.HasPrefix(fields[4], "/sys/fs/cgroup") {
		return
	}
	switch super[0] {
	case "cgroup2":
		c.Mounts[""] = fields[4]
	case "cgroup":
		for _, option := range strings.Split(super[2], ",") {
			if !slices.Contains([]string{"rw", "ro", "xattr", "none", "nsdelegate"}, option) {
				c.Mounts[option] = fields[4]
			}
		}
	}
}

// joinEngineCgroup moves a process into CgroupRoot/engine, out of the session
// or service that cox was started in and whose end would end it. It is done as
// far as it can be: an engine that stays where it was works too.
func joinEngineCgroup(pid int) {
	cgroups, err := DetectCgroups()
	if err != nil {
		return
	}
	for _, mount := range cgroups.Mounts {
		dir := filepath.Join(mount, CgroupRoot, "engine")
		if os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		// A new cpuset is empty, and takes no process until it is filled.
		inheritCpuset(filepath.Join(mount, CgroupRoot))
		inheritCpuset(dir)
		os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	}
}

func inheritCpuset(dir string) {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		if parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name)); err == nil {
			os.WriteFile(filepath.Join(dir, name), parent, 0)
		}
	}
}

// leaveEngineCgroup removes the engine's cgroup if nothing is in it any more.
func leaveEngineCgroup() {
	cgroups, err := DetectCgroups()
	if err != nil {
		return
	}
	for _, mount := range cgroups.Mounts {
		// A cgroup in use, by another instance for example, refuses.
		if os.Remove(filepath.Join(mount, CgroupRoot, "engine")) == nil {
			os.Remove(filepath.Join(mount, CgroupRoot))
		}
	}
}
