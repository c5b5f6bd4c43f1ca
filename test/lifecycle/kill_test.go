package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"coxswain.dev/cox/test/harness"
)

// Rows U12 and P5: the work is done by whatever cox runs next.
func TestAnUpdateFinishesAfterCoxIsKilledInItsMiddle(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "4")
	acknowledged := writeUntilKilled(t, instance)

	instance.Kubectl("set", "image", "deployment/http-go", "http-go=gasbugs/http-go:v2")
	eventually(t, "a Pod of the new version", func() bool {
		return instance.Kubectl("get", "pods", "-l", "app=http-go", "-o", `jsonpath={range .items[?(@.spec.containers[0].image=="gasbugs/http-go:v2")]}x{end}`) != ""
	})
	before := pods(t, instance)
	instance.Signal(syscall.SIGKILL)
	names := acknowledged()

	instance.Up()
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	after := pods(t, instance)
	if len(after) != 4 {
		t.Errorf("%d Pods after the update, want 4", len(after))
	}
	for name, pod := range after {
		if image := pod.Spec.Containers[0].Image; image != "gasbugs/http-go:v2" {
			t.Errorf("Pod %s runs %s after the update", name, image)
		}
	}
	mustBeSameContainers(t, before, after)
	for _, name := range names {
		if result := instance.Try("get", "configmap", name); result.Code != 0 {
			t.Errorf("a write that was acknowledged is lost: %s", result.Stderr)
		}
	}
	t.Logf("%d acknowledged writes, all there", len(names))
}

// writeUntilKilled creates ConfigMaps one after the other. The returned
// function waits for the end and gives the names that were acknowledged.
func writeUntilKilled(t *testing.T, instance *harness.Instance) (acknowledged func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var names []string
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprintf("written-%d", n)
			if instance.Try("create", "configmap", name, "--from-literal=n=1", "--request-timeout=5s").Code != 0 {
				return
			}
			names = append(names, name)
		}
	})
	return func() []string {
		cancel()
		running.Wait()
		return names
	}
}

func TestStoppingLeavesContainersRunningAndStartingTakesThemUp(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "2")
	before := pods(t, instance)

	instance.Signal(syscall.SIGINT)
	address := firstPodIP(t, before)
	if result := instance.Shell("curl -sf --max-time 5 http://" + address + ":8080"); result.Code != 0 {
		t.Errorf("the container does not answer while cox is stopped: %s", result.Stderr)
	}
	instance.Up()
	instance.Kubectl("wait", "deployment/http-go", "--for=condition=Available", "--timeout=60s")
	after := pods(t, instance)
	if len(after) != len(before) {
		t.Errorf("%d Pods after the restart, want %d", len(after), len(before))
	}
	for name := range before {
		if _, still := after[name]; !still {
			t.Errorf("Pod %s was replaced", name)
		}
	}
	mustBeSameContainers(t, before, after)
	if result := instance.Shell("curl -sf --max-time 5 http://" + address + ":8080"); result.Code != 0 {
		t.Errorf("the container does not answer after the restart: %s", result.Stderr)
	}
}

func TestDownWithPodsStopsTheContainersAndUpStartsThemAgain(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "1")
	address := firstPodIP(t, pods(t, instance))
	instance.Cox("down", "--pods")
	if result := instance.Shell("curl -sf --max-time 2 http://" + address + ":8080"); result.Code == 0 {
		t.Error("the container still answers after cox down --pods")
	}
	instance.Up()
	eventually(t, "the Pod answers again", func() bool {
		for _, pod := range pods(t, instance) {
			if pod.Status.PodIP != "" && instance.Shell("curl -sf --max-time 2 http://"+pod.Status.PodIP+":8080").Code == 0 {
				return true
			}
		}
		return false
	})
}
