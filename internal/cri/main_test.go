package cri

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/test/leftover"
)

// sandboxDir, set in the environment, is the directory of the tests that run
// in a network namespace of their own; the process that made both waits, and
// removes whatever the tests leave behind.
const sandboxDir = "COXCRI_SANDBOX"

// eatMemory makes the test binary, as a container, use all memory it gets.
const eatMemory = "COXCRI_EAT"

func eat() {
	var eaten [][]byte
	for {
		eaten = append(eaten, bytes.Repeat([]byte{1}, 1<<20))
	}
}

const sandboxPrefix = "coxcri-"

func TestMain(m *testing.M) {
	if os.Getenv(eatMemory) != "" {
		eat()
	}
	if os.Getenv(sandboxDir) != "" {
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests run containers: run them as root")
		os.Exit(1)
	}
	removeStale()
	os.Exit(runInSandbox())
}

// runInSandbox runs the tests as a child in a new network namespace.
func runInSandbox() int {
	dir, err := os.MkdirTemp("", sandboxPrefix)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), sandboxDir+"="+dir, "TMPDIR="+dir)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	namespace, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", command.Process.Pid))
	owner := fmt.Sprintf("%d %s", os.Getpid(), namespace)
	if err := os.WriteFile(filepath.Join(dir, "owner"), []byte(owner), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	command.Wait()
	if err := removeSandbox(dir, namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return command.ProcessState.ExitCode()
}

// removeStale cleans up after runs that were killed.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), sandboxPrefix+"*"))
	for _, dir := range dirs {
		var owner int
		var namespace string
		content, err := os.ReadFile(filepath.Join(dir, "owner"))
		if _, scanErr := fmt.Sscan(string(content), &owner, &namespace); err != nil || scanErr != nil {
			continue
		}
		if unix.Kill(owner, 0) == unix.ESRCH {
			removeSandbox(dir, namespace)
		}
	}
}

// removeSandbox ends every process in the namespace, and removes the mounts,
// cgroups and files of the tests.
func removeSandbox(dir, namespace string) error {
	if err := leftover.Processes(dir, namespace); err != nil {
		return err
	}
	err := leftover.Mounts(dir)
	removeCgroups(filepath.Base(dir))
	leaveEngineCgroup()
	return errors.Join(err, os.RemoveAll(dir))
}

func removeCgroups(name string) {
	cgroups, _ := DetectCgroups()
	for _, mount := range cgroups.Mounts {
		var dirs []string
		filepath.WalkDir(filepath.Join(mount, name), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			os.Remove(dir)
		}
	}
}
