package agent

import (
	"context"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func mib(n int64) resource.Quantity { return *resource.NewQuantity(n<<20, resource.BinarySI) }

// within waits for something that gives no sign of itself.
func within(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// exec runs a command in the Pod's container.
func (n *node) exec(t testing.TB, pod *corev1.Pod, command ...string) string {
	t.Helper()
	c := n.agent.workerOf(pod.UID).runningContainer("c")
	if c == nil {
		t.Fatalf("Pod %s does not run", pod.Name)
	}
	stdout, stderr, err := n.agent.runtime.ExecSync(t.Context(), c.ID, command, deadline)
	if err != nil {
		t.Fatalf("%q: %v: %s%s", command, err, stdout, stderr)
	}
	return string(stdout)
}

func (n *node) makeConfigMap(t testing.TB, name string, data map[string]string) {
	t.Helper()
	maps := n.client.CoreV1().ConfigMaps("default")
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { maps.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

func (n *node) changeConfigMap(t testing.TB, name string, data map[string]string) {
	t.Helper()
	if _, err := n.client.CoreV1().ConfigMaps("default").Update(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// awaitLog waits until the Pod's log is the text.
func (n *node) awaitLog(t testing.TB, podName, text string) {
	t.Helper()
	got := ""
	within(t, "the log of "+podName+" is "+text, func() bool {
		if now := n.logs(t, podName, ""); now != got {
			got = now
			t.Logf("log of %s: %q", podName, got)
		}
		return got == text
	})
}

// follow reads the log to the container's end.
func (n *node) follow(t testing.TB, podName string) <-chan string {
	t.Helper()
	text := make(chan string, 1)
	recorder := &answer{header: http.Header{}}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "/containerLogs/default/"+podName+"/c?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		n.agent.Handler().ServeHTTP(recorder, request)
		text <- recorder.body.String()
	}()
	return text
}

// awaitGone waits until the agent has removed all of a Pod.
func (n *node) awaitGone(t testing.TB, uid types.UID) {
	t.Helper()
	within(t, "the Pod is gone", func() bool { return n.agent.workerOf(uid) == nil })
}

func mustParse(text string) *resource.Quantity {
	quantity := resource.MustParse(text)
	return &quantity
}
