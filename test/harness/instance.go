package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// StartDeadline is how long an instance may take to be ready on a loaded
// machine before a test fails.
const StartDeadline = 90 * time.Second

// Instance is one running cox.
type Instance struct {
	// Dir holds everything of the instance; Kubeconfig and Log are in it.
	Dir, Kubeconfig, Log string
	// Namespace is the path of its network namespace.
	Namespace string

	t        testing.TB
	extra    []string
	cox      *exec.Cmd
	exited   chan error
	watchdog io.Closer
	removed  sync.Once
}

// New makes the place for an instance, and starts nothing in it. extra are
// further flags of `cox up`.
func New(t testing.TB, extra ...string) *Instance {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests make containers and network namespaces: run them as root")
	}
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal("there is no kubectl on the PATH: these tests use the stock one: install it (any version since 1.30 will do), and run them again")
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		t.Fatal(err)
	}
	i := &Instance{
		Dir:        dir,
		Kubeconfig: filepath.Join(dir, "admin.kubeconfig"),
		Log:        filepath.Join(dir, "cox.log"),
		Namespace:  filepath.Join("/run/netns", filepath.Base(dir)),
		t:          t,
		extra:      extra,
	}
	i.watchdog, err = startWatchdog(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Remove)
	i.host("ip", "netns", "add", filepath.Base(dir))
	i.host("nsenter", "--net="+i.Namespace, "ip", "link", "set", "lo", "up")
	return i
}

// Start makes an instance and waits until it is ready.
func Start(t testing.TB, extra ...string) *Instance {
	t.Helper()
	i := New(t, extra...)
	i.Up()
	return i
}

// Flags are the flags that lead a cox command to this instance.
func (i *Instance) Flags() []string {
	return []string{
		"--data-dir=" + filepath.Join(i.Dir, "data"),
		"--run-dir=" + filepath.Join(i.Dir, "run"),
		"--kubeconfig=" + i.Kubeconfig,
	}
}

// Up starts cox in the foreground of a process of its own, and waits until it
// says that it is ready.
func (i *Instance) Up() {
	i.t.Helper()
	i.Begin()()
}

// Begin starts cox; the returned function waits until it says that it is ready.
func (i *Instance) Begin() (awaitReady func()) {
	i.t.Helper()
	log, err := os.OpenFile(i.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		i.t.Fatal(err)
	}
	defer log.Close()
	args := append([]string{"--net=" + i.Namespace, Binary("cox"), "up"}, i.Flags()...)
	i.cox = exec.Command("nsenter", append(args, i.extra...)...)
	i.cox.Stderr = log
	stdout, err := i.cox.StdoutPipe()
	if err != nil {
		i.t.Fatal(err)
	}
	if err := i.cox.Start(); err != nil {
		i.t.Fatal(err)
	}
	ready := make(chan struct{})
	i.exited = make(chan error, 1)
	go func() {
		watch := &watchFor{text: []byte("\nReady in "), found: ready, next: log.Name()}
		io.Copy(watch, stdout)
		i.exited <- i.cox.Wait()
	}()
	return func() {
		i.t.Helper()
		select {
		case <-ready:
		case err := <-i.exited:
			i.t.Fatalf("cox up ended: %v\n%s", err, i.LogTail())
		case <-time.After(StartDeadline):
			i.t.Fatalf("cox up was not ready in %v\n%s", StartDeadline, i.LogTail())
		}
	}
}

// Signal sends a signal to cox and waits until the process is gone.
func (i *Instance) Signal(signal syscall.Signal) {
	i.t.Helper()
	if err := i.cox.Process.Signal(signal); err != nil {
		i.t.Fatalf("signalling cox: %v", err)
	}
	select {
	case <-i.exited:
		i.cox = nil
	case <-time.After(StartDeadline):
		i.t.Fatalf("cox did not end %v after %v\n%s", StartDeadline, signal, i.LogTail())
	}
}

// Result is what a finished command left.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Shell runs a shell command inside the instance's network namespace, with
// KUBECONFIG set and our binaries first on the PATH.
func (i *Instance) Shell(script string) Result {
	i.t.Helper()
	return i.run("sh", "-c", script)
}

// Kubectl runs the kubectl found on the PATH and fails the test if it fails.
func (i *Instance) Kubectl(args ...string) string {
	i.t.Helper()
	return i.must(i.run("kubectl", args...), append([]string{"kubectl"}, args...))
}

// Try runs kubectl and returns whatever comes of it.
func (i *Instance) Try(args ...string) Result {
	i.t.Helper()
	return i.run("kubectl", args...)
}

// Cox runs a cox command on this instance and fails the test if it fails.
func (i *Instance) Cox(args ...string) string {
	i.t.Helper()
	full := append(append([]string{}, args...), i.Flags()...)
	return i.must(i.run(Binary("cox"), full...), append([]string{"cox"}, args...))
}

// Apply gives a manifest to `kubectl apply`.
func (i *Instance) Apply(manifest string) {
	i.t.Helper()
	path := filepath.Join(i.Dir, "manifest.yaml")
	if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
		i.t.Fatal(err)
	}
	i.Kubectl("apply", "-f", path)
}

func (i *Instance) must(result Result, command []string) string {
	i.t.Helper()
	if result.Code != 0 {
		i.t.Fatalf("%s: exit code %d\n%s%s\n%s", strings.Join(command, " "), result.Code, result.Stdout, result.Stderr, i.LogTail())
	}
	return result.Stdout
}

// commandDeadline bounds one command, so that a hanging one fails its test.
const commandDeadline = 3 * time.Minute

// Command is a command inside the instance's network namespace, with
// KUBECONFIG set and our binaries first on the PATH. It ends with ctx.
func (i *Instance) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + i.Namespace, name}, args...)...)
	command.Dir = i.Dir
	command.WaitDelay = time.Second
	command.Env = append(os.Environ(), "KUBECONFIG="+i.Kubeconfig, "HOME="+i.Dir, "KUBECACHEDIR="+filepath.Join(i.Dir, "kubecache"),
		"PATH="+filepath.Dir(Binary("cox"))+":"+os.Getenv("PATH"))
	return command
}

func (i *Instance) run(name string, args ...string) Result {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandDeadline)
	defer cancel()
	command := i.Command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		i.t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return Result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// host runs a set-up command in the test's own namespace.
func (i *Instance) host(name string, args ...string) {
	i.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		i.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// LogTail is the end of what cox printed, for a failing test.
func (i *Instance) LogTail() string {
	content, err := os.ReadFile(i.Log)
	if err != nil {
		return err.Error()
	}
	const most = 16 << 10
	if len(content) > most {
		content = content[len(content)-most:]
	}
	return fmt.Sprintf("--- the end of %s\n%s", i.Log, content)
}

// Remove stops everything and removes it, as the end of the test does. A
// failed test's log is printed first.
func (i *Instance) Remove() {
	if i.t.Failed() {
		i.t.Log(i.LogTail())
	}
	i.removed.Do(func() {
		if err := i.watchdog.Close(); err != nil {
			i.t.Errorf("the watchdog of %s: %v", i.Dir, err)
		}
	})
}
