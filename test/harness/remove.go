package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// remove ends every process of the instance in dir, containers included, and
// removes its mounts, its network namespace and its files.
func remove(dir string) error {
	namespace := filepath.Join("/run/netns", filepath.Base(dir))
	deadline := time.Now().Add(20 * time.Second)
	for killed := kill(dir, namespace); killed > 0; killed = kill(dir, namespace) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes do not end", killed)
		}
		time.Sleep(20 * time.Millisecond) // until the kernel has reaped them
	}
	errs := unmountBelow(dir)
	if _, err := os.Stat(namespace); err == nil {
		if out, err := exec.Command("ip", "netns", "delete", filepath.Base(dir)).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("ip netns delete: %w: %s", err, out))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}

// kill sends SIGKILL to every process of the instance and returns how many
// there were: those in its network namespace (cox, containerd, shims), and
// those in a mount namespace of their own that holds mounts from its
// directory (containers).
func kill(dir, namespace string) int {
	wanted, _ := inode(namespace)
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	entries, _ := os.ReadDir("/proc")
	killed := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if !belongs(pid, dir, wanted, ours) {
			continue
		}
		if unix.Kill(pid, unix.SIGKILL) == nil && !zombie(pid) {
			killed++
		}
	}
	return killed
}

func belongs(pid int, dir string, namespace uint64, ourMounts string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if net, err := inode(filepath.Join(proc, "ns/net")); err == nil && namespace != 0 && net == namespace {
		return true
	}
	if mounts, err := os.Readlink(filepath.Join(proc, "ns/mnt")); err != nil || mounts == ourMounts {
		return false
	}
	info, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	return err == nil && strings.Contains(string(info), dir+"/")
}

func inode(path string) (uint64, error) {
	var stat unix.Stat_t
	err := unix.Stat(path, &stat)
	return stat.Ino, err
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// unmountBelow unmounts what is mounted in dir, the deepest first.
func unmountBelow(dir string) (errs []error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []error{err}
	}
	var points []string
	for _, line := range strings.Split(string(info), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(points)))
	for _, point := range points {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errs
}
