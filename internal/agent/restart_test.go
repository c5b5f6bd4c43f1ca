package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func TestARestartedAgentTakesUpItsPods(t *testing.T) {
	n := theNode(t)
	steady := n.box("steady", "serve=:8080")
	steady.Spec.Containers[0].ReadinessProbe = serving()
	n.create(t, steady)
	before := n.await(t, "steady", "Ready", isReady)
	n.create(t, n.box("doomed", "forever"))
	doomed := n.await(t, "doomed", "Ready", isReady)
	crashed := n.create(t, n.box("crashed", "crash-once=/tmp/once", "exit=4"))
	n.await(t, "crashed", "CrashLoopBackOff", waitingFor("CrashLoopBackOff"))

	n.stop()
	// While no agent runs, one Pod is deleted by force.
	now := int64(0)
	if err := n.client.CoreV1().Pods("default").Delete(t.Context(), "doomed", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	writes := n.statusWrites(t, before)
	n.start(t)

	within(t, "the orphan is removed", func() bool {
		left, err := n.agent.observe(t.Context(), doomed.UID, observation{})
		return err == nil && len(left.sandboxes)+len(left.containers) == 0
	})
	within(t, "the Pods are taken up", func() bool {
		w := n.agent.workerOf(crashed.UID)
		return w != nil && w.waitingReason("c") == "CrashLoopBackOff" && n.agent.workerOf(before.UID).runningContainer("c") != nil
	})
	after, err := n.client.CoreV1().Pods("default").Get(t.Context(), "steady", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is, was := after.Status.ContainerStatuses[0], before.Status.ContainerStatuses[0]
	if is.ContainerID != was.ContainerID || is.RestartCount != 0 || !isReady(after) {
		t.Errorf("container status = %+v, before %+v", is, was)
	}
	if got := writes(); got != 0 {
		t.Errorf("the status of a Pod that did not change was written %d times", got)
	}
	status := n.await(t, "crashed", "CrashLoopBackOff", waitingFor("CrashLoopBackOff")).Status.ContainerStatuses[0]
	if status.RestartCount != 1 {
		t.Errorf("restart count = %d, want 1", status.RestartCount)
	}
	// The back-off of the container goes on where it was.
	within(t, "it is restarted after its back-off", func() bool {
		w := n.agent.workerOf(crashed.UID)
		all := w.containersOf("c")
		return len(all) > 0 && all[0].RestartCount == 2 && all[0].Backoff == 20*time.Second
	})
}

// statusWrites counts changes of a Pod from now on.
func (n *node) statusWrites(t *testing.T, pod *corev1.Pod) func() int {
	ctx, cancel := context.WithCancel(t.Context())
	watcher, err := n.client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + pod.Name, ResourceVersion: pod.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	count := make(chan int, 1)
	go func() {
		changes := 0
		for event := range watcher.ResultChan() {
			if event.Type == watch.Modified {
				changes++
				t.Logf("written: %v", event.Object.(*corev1.Pod).Status)
			}
		}
		count <- changes
	}()
	return func() int { cancel(); watcher.Stop(); return <-count }
}

func TestAnIdlePodIsNotWritten(t *testing.T) {
	n := theNode(t)
	pod := n.box("idle", "serve=:8080")
	pod.Spec.Containers[0].ReadinessProbe = serving()
	n.create(t, pod)
	ready := n.await(t, "idle", "Ready", isReady)
	writes := n.statusWrites(t, ready)
	for _, w := range n.agent.allWorkers() {
		w.runtimeChanged()
	}
	w := n.agent.workerOf(ready.UID)
	within(t, "everything was looked at", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return !w.dirty
	})
	if got := writes(); got != 0 {
		t.Errorf("%d writes", got)
	}
}

// isServersLog tells what the API server in this process says of requests that
// the agent gives up.
func isServersLog(text string) bool {
	return strings.Contains(text, "watch event") || strings.Contains(text, "Handler timeout") || strings.Contains(text, "post-timeout activity")
}

func TestAnAgentStopsInSilence(t *testing.T) {
	n := theNode(t)
	n.create(t, n.box("silent", "forever"))
	n.await(t, "silent", "Ready", isReady)
	before := len(kubernetesLog.since(0))
	n.stop()
	n.start(t)
	for _, text := range kubernetesLog.since(before) {
		if !isServersLog(text) {
			t.Errorf("logged at a normal stop: %s", text)
		}
	}
}
