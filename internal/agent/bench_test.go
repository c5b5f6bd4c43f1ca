package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stopwatch is a log handler that adds up how long actions took.
type stopwatch struct {
	slog.Handler
	mu   sync.Mutex
	took map[string]time.Duration
}

func (s *stopwatch) Enabled(context.Context, slog.Level) bool { return true }
func (s *stopwatch) WithAttrs([]slog.Attr) slog.Handler       { return s }

func (s *stopwatch) Handle(_ context.Context, record slog.Record) error {
	if record.Message != "done" {
		return nil
	}
	var action string
	var took time.Duration
	record.Attrs(func(attr slog.Attr) bool {
		switch attr.Key {
		case "action":
			action, _, _ = strings.Cut(attr.Value.String(), " ")
			action += "-" + strings.Fields(attr.Value.String())[1]
		case "took":
			took = attr.Value.Duration()
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[action] += took
	return nil
}

// BenchmarkPod is one Pod from its creation to Ready by a probe, with the
// image present, and to its removal.
func BenchmarkPod(b *testing.B) {
	n := startNode(b)
	defer func() { shared.node = n; stopShared(); shared.node = nil }()
	n.stop()
	watch := &stopwatch{Handler: slog.DiscardHandler, took: map[string]time.Duration{}}
	n.log = slog.New(watch)
	n.start(b)
	run := func(name string) (running, ready time.Duration) {
		pod := n.box(name, "serve=:8080")
		pod.Spec.Containers[0].ReadinessProbe = serving()
		watcher, err := n.client.CoreV1().Pods("default").Watch(b.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
		if err != nil {
			b.Fatal(err)
		}
		defer watcher.Stop()
		began := time.Now()
		if _, err := n.client.CoreV1().Pods("default").Create(b.Context(), pod, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		for event := range watcher.ResultChan() {
			pod := event.Object.(*corev1.Pod)
			if pod.Status.Phase == corev1.PodRunning && running == 0 {
				running = time.Since(began)
			}
			if isReady(pod) {
				return running, time.Since(began)
			}
		}
		b.Fatal("the Pod did not become Ready")
		return 0, 0
	}
	run("first") // pulls the image
	n.remove(b, "first", 1)
	clear(watch.took)
	var running, ready time.Duration
	for b.Loop() {
		name := fmt.Sprintf("pod-%d", time.Now().UnixNano())
		toRunning, toReady := run(name)
		running, ready = running+toRunning, ready+toReady
		n.remove(b, name, 1)
	}
	report := func(total time.Duration, unit string) {
		b.ReportMetric(float64(total)/float64(b.N)/float64(time.Millisecond), unit)
	}
	report(running, "ms-running")
	report(ready, "ms-ready")
	for action, unit := range map[string]string{"make-sandbox,": "ms-sandbox", "get-image": "ms-image", "prepare-volumes": "ms-volumes", "start-c": "ms-start",
		"kill-c": "ms-kill", "stop-sandbox": "ms-stop-sandbox", "delete-the": "ms-delete"} {
		report(watch.took[action], unit)
	}
}

// BenchmarkUsage is one sample of what twenty containers use, without the wait
// for a second one.
func BenchmarkUsage(b *testing.B) {
	n := startNode(b)
	defer func() { shared.node = n; stopShared(); shared.node = nil }()
	const pods = 20
	for i := range pods {
		name := fmt.Sprintf("used-%d", i)
		if _, err := n.client.CoreV1().Pods("default").Create(b.Context(), n.box(name, "forever"), metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		defer n.remove(b, name, 0)
	}
	for i := range pods {
		n.await(b, fmt.Sprintf("used-%d", i), "Ready", isReady)
	}
	for b.Loop() {
		s, err := n.agent.sampleUsage(b.Context())
		if err != nil || len(s.Pods) != pods {
			b.Fatalf("%d Pods, %v", len(s.Pods), err)
		}
	}
}
