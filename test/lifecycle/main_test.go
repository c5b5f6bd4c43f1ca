package lifecycle

import (
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// eventually waits until condition holds, and fails the test if it does not.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	const deadline = 60 * time.Second
	end := time.Now().Add(deadline)
	for !condition() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// startWithHTTPGo starts an instance that can pull the sample application,
// and rolls out the given number of replicas.
func startWithHTTPGo(t *testing.T, replicas string) *harness.Instance {
	t.Helper()
	instance := harness.New(t, "--registry-mirror=docker.io=http://127.0.0.1:5000")
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("scale", "deployment", "http-go", "--replicas="+replicas)
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	return instance
}

// pods are the Pods of the sample application that are not on their way out.
func pods(t *testing.T, instance *harness.Instance) map[string]corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := json.Unmarshal([]byte(instance.Kubectl("get", "pods", "-l", "app=http-go", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]corev1.Pod{}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			found[pod.Name] = pod
		}
	}
	return found
}

// mustBeSameContainers fails the test if a container of before that is still
// wanted was restarted or replaced.
func mustBeSameContainers(t *testing.T, before, after map[string]corev1.Pod) {
	t.Helper()
	for name, now := range after {
		then, existed := before[name]
		for c, status := range now.Status.ContainerStatuses {
			if status.RestartCount != 0 {
				t.Errorf("Pod %s: container %s was restarted %d times; before: %v", name, status.Name, status.RestartCount, status.LastTerminationState.Terminated)
			}
			if existed && c < len(then.Status.ContainerStatuses) && then.Status.ContainerStatuses[c].ContainerID != "" &&
				then.Status.ContainerStatuses[c].ContainerID != status.ContainerID {
				t.Errorf("Pod %s: container %s was %s and is %s", name, status.Name, then.Status.ContainerStatuses[c].ContainerID, status.ContainerID)
			}
		}
	}
}
