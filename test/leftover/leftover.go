// Package leftover ends and unmounts what tests with containers leave behind,
// and nothing that belongs to the tests beside them.
package leftover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endWithin bounds how long the kernel may take to end what was killed.
const endWithin = 20 * time.Second

// Processes kills every process in a network namespace, given as in
// /proc/PID/ns/net ("net:[4026531840]") or empty for none, and every container
// whose root file system lies in dir, and waits until they are gone.
func Processes(dir, namespace string) error {
	deadline := time.Now().Add(endWithin)
	for killed := kill(dir, namespace); killed > 0; killed = kill(dir, namespace) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of %s do not end", killed, dir)
		}
		time.Sleep(10 * time.Millisecond) // until the kernel has ended them
	}
	return nil
}

// kill returns how many processes it had to kill.
func kill(dir, namespace string) (killed int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		if pid == os.Getpid() || !isIn(process, namespace) && !isRootedIn(process, dir) {
			continue
		}
		if unix.Kill(pid, unix.SIGKILL) == nil && !hasEnded(process) {
			killed++
		}
	}
	return killed
}

func isIn(process, namespace string) bool {
	inside, err := os.Readlink(process + "/ns/net")
	return err == nil && inside == namespace
}

// isRootedIn tells whether a process has its root in dir, as the processes of
// a container have. Mounts of dir elsewhere say nothing: what is becoming a
// container of somebody else still has a copy of all the machine's mounts.
func isRootedIn(process, dir string) bool {
	info, _ := os.ReadFile(process + "/mountinfo") // the process may just have ended
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == "/" && strings.Contains(line, dir+"/") {
			return true
		}
	}
	return false
}

// hasEnded is also true of what only waits to be collected by its parent.
func hasEnded(process string) bool {
	stat, err := os.ReadFile(process + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// Mounts unmounts what is mounted in dir, the deepest first.
func Mounts(dir string) error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	slices.Sort(points)
	slices.Reverse(points)
	var errs []error
	for _, point := range points {
		// EINVAL: somebody else has unmounted it meanwhile.
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
