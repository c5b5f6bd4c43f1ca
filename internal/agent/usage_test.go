package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/usage"
)

// metered is a meter on a clock of its own, which counts its samples.
type metered struct {
	*meter
	clock   time.Time
	waited  time.Duration
	samples int
	failing error
}

func newMetered() *metered {
	m := &metered{clock: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	m.meter = newMeter(func(context.Context) (usage.Summary, error) {
		m.samples++
		// One core, all the time.
		return usage.Summary{Time: m.clock, Node: usage.Node{CPU: &usage.CPU{Time: m.clock, UsageCoreNanoSeconds: uint64(m.clock.UnixNano())}}}, m.failing
	})
	m.now = func() time.Time { return m.clock }
	m.wait = func(ctx context.Context, d time.Duration) error {
		if d > 0 {
			m.waited, m.clock = m.waited+d, m.clock.Add(d)
		}
		return context.Cause(ctx)
	}
	return m
}

// asks asks once, some time after the last question.
func (m *metered) asks(t *testing.T, later time.Duration, samples int, waited, window time.Duration) {
	t.Helper()
	m.clock, m.samples, m.waited = m.clock.Add(later), 0, 0
	answer, err := m.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cpu := answer.Node.CPU; cpu.UsageNanoCores == nil || *cpu.UsageNanoCores != 1e9 || cpu.Window != window {
		t.Errorf("%s later: used is %+v, want a core for %s", later, cpu, window)
	}
	if m.samples != samples || m.waited != waited {
		t.Errorf("%s later: %d samples and a wait of %s, want %d and %s", later, m.samples, m.waited, samples, waited)
	}
}

func TestSamplesAreTakenWhenSomebodyAsks(t *testing.T) {
	m := newMetered()
	m.asks(t, 0, 2, time.Second, time.Second)               // the first question of all
	m.asks(t, time.Second, 0, 0, time.Second)               // again, too soon for another answer
	m.asks(t, 14*time.Second, 1, 0, 15*time.Second)         // as the autoscaler does
	m.asks(t, 15*time.Second, 1, 0, 15*time.Second)         // and again
	m.asks(t, 100*time.Second, 1, 0, 100*time.Second)       // the last sample still does
	m.asks(t, longestWindow, 2, time.Second, time.Second)   // after a silence
	m.asks(t, -time.Hour, 2, time.Second, time.Second)      // a clock that was set back
	m.asks(t, 100*time.Hour, 2, time.Second, time.Second)   // a long silence
	m.asks(t, answerLife-time.Second, 0, 0, time.Second)    // the same answer
	m.asks(t, answerLife, 1, 0, 2*answerLife-1*time.Second) // another one
}

func TestAQuestionThatIsGivenUpLeavesTheNextOneAnAnswer(t *testing.T) {
	m := newMetered()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Either it does not get its turn, or it does not wait for the second sample.
	if _, err := m.read(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("a question that was given up: %v", err)
	}
	m.last = usage.Summary{Time: m.clock, Node: usage.Node{CPU: &usage.CPU{Time: m.clock, UsageCoreNanoSeconds: uint64(m.clock.UnixNano())}}}
	m.asks(t, 200*time.Millisecond, 1, 800*time.Millisecond, time.Second)
	m.failing = errors.New("no runtime")
	m.clock = m.clock.Add(time.Hour)
	if _, err := m.read(t.Context()); !errors.Is(err, m.failing) {
		t.Errorf("without a runtime: %v", err)
	}
	m.failing = nil
	m.asks(t, 0, 2, time.Second, time.Second)
}

func TestWhatContainersUseIsTold(t *testing.T) {
	n := theNode(t)
	n.create(t, n.box("idle", "serve=:8080"))
	busy := n.box("busy", "burn")
	busy.Spec.Containers = append(busy.Spec.Containers, corev1.Container{Name: "b", Image: busy.Spec.Containers[0].Image, Args: []string{"serve=:8080"}})
	pod := n.create(t, busy)
	n.create(t, n.box("over", "exit=0"))
	for _, name := range []string{"idle", "busy"} {
		n.await(t, name, "Ready", isReady)
	}
	n.await(t, "over", "over", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 0
	})
	told := n.used(t)
	if told.Node.Name != "node" || told.Node.CPU == nil || told.Node.CPU.UsageNanoCores == nil || told.Node.Memory == nil {
		t.Errorf("the node uses %+v", told.Node)
	}
	found := map[string]usage.Pod{}
	for _, p := range told.Pods {
		found[p.Ref.Namespace+"/"+p.Ref.Name] = p
	}
	if _, there := found["default/over"]; there {
		t.Errorf("what has ended uses %+v", found["default/over"])
	}
	containers := found["default/busy"].Containers
	if len(containers) != 2 || containers[0].Name != "b" || containers[1].Name != "c" || found["default/busy"].Ref.UID != string(pod.UID) {
		t.Fatalf("told of %+v", found)
	}
	quiet, loud := *containers[0].CPU.UsageNanoCores, *containers[1].CPU.UsageNanoCores
	if loud < 10*quiet || loud < 10e6 {
		t.Errorf("what loops uses %dm, what waits %dm", loud/1e6, quiet/1e6)
	}
	if _, _, ok := found["default/idle"].Span(); !ok || found["default/idle"].Containers[0].Memory.WorkingSetBytes < 100<<10 {
		t.Errorf("what waits uses %+v", found["default/idle"])
	}
}

// used asks the agent.
func (n *node) used(t *testing.T) usage.Summary {
	t.Helper()
	recorder := httptest.NewRecorder()
	n.agent.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, usage.Path, nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("%d %s", recorder.Code, recorder.Body)
	}
	var told usage.Summary
	if err := json.Unmarshal(recorder.Body.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	return told
}
