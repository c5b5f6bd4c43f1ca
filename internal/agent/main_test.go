package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"k8s.io/klog/v2"

	"coxswain.dev/cox/test/leftover"
)

// sandboxDir, set in the environment, is the directory of the tests that run
// in a network namespace of their own; the process that made both waits, and
// removes whatever the tests leave behind.
const sandboxDir = "COXAGENT_SANDBOX"

// watchdogOf, set in the environment, makes the test binary the watchdog of the
// directory it names.
const watchdogOf = "COXAGENT_WATCHDOG"

const sandboxPrefix = "coxagent-"

func TestMain(m *testing.M) {
	if dir := os.Getenv(watchdogOf); dir != "" {
		os.Exit(watchSandbox(dir))
	}
	if os.Getenv(sandboxDir) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		namespace, _ := os.Readlink("/proc/self/ns/net")
		if err := os.WriteFile(filepath.Join(os.Getenv(sandboxDir), "netns"), []byte(namespace), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		klog.SetSlogLogger(slog.New(&kubernetesLog))
		code := m.Run()
		stopShared()
		os.Exit(code)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests run containers: run them as root")
		os.Exit(1)
	}
	os.Exit(runInSandbox())
}

// heard keeps the errors that Kubernetes' libraries log.
type heard struct {
	slog.Handler
	mu     sync.Mutex
	errors []string
}

var kubernetesLog heard

func (h *heard) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (h *heard) WithAttrs([]slog.Attr) slog.Handler               { return h }
func (h *heard) WithGroup(string) slog.Handler                    { return h }

func (h *heard) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(attr slog.Attr) bool { text += " " + attr.String(); return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errors = append(h.errors, text)
	return nil
}

// since are the errors after the first n.
func (h *heard) since(n int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.errors[n:])
}

func loopbackUp() error {
	link, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// runInSandbox runs the tests as a child in a new network namespace.
func runInSandbox() int {
	dir, err := os.MkdirTemp("", sandboxPrefix)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cleanUp, err := startWatchdog(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), sandboxDir+"="+dir, "TMPDIR="+dir)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the child is to die with this process, not with a thread of it
	err = command.Run()
	if cleanErr := cleanUp(); cleanErr != nil || command.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err, cleanErr)
		return 1
	}
	return command.ProcessState.ExitCode()
}

// startWatchdog starts a process that removes the sandbox when it is told to,
// or when this process has been killed.
func startWatchdog(dir string) (cleanUp func() error, err error) {
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), watchdogOf+"="+dir)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	return func() error { return errors.Join(stdin.Close(), command.Wait()) }, err
}

// watchSandbox is the watchdog.
func watchSandbox(dir string) int {
	io.Copy(io.Discard, os.Stdin)
	namespace, _ := os.ReadFile(filepath.Join(dir, "netns")) // none if the tests did not start
	if err := removeSandbox(dir, string(namespace)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// removeSandbox ends every process of the tests, and removes their mounts,
// cgroups and files.
func removeSandbox(dir, namespace string) error {
	if err := leftover.Processes(dir, namespace); err != nil {
		return err
	}
	return errors.Join(leftover.Mounts(dir), RemoveCgroups(context.Background(), filepath.Join(dir, "data")), os.RemoveAll(dir))
}
