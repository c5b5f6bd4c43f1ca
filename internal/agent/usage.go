package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/usage"
)

// How samples are taken: only when somebody asks. Between two questions
// nothing runs (docs/adr/0011-usage-on-demand.md).
const (
	// answerLife is how long an answer is given again. The autoscaler, who asks
	// every 15 s, always gets a new one.
	answerLife = 10 * time.Second
	// longestWindow is how old a sample may be to tell a rate of now. After a
	// longer silence two are taken, firstWindow apart, while the client waits.
	longestWindow = 2 * time.Minute
	firstWindow   = time.Second
)

// serveUsage answers what the node and its Pods use.
func (a *Agent) serveUsage(w http.ResponseWriter, r *http.Request) {
	answer, err := a.meter.read(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// meter keeps the last sample and the last answer.
type meter struct {
	sample func(context.Context) (usage.Summary, error)
	// now and wait are the clock.
	now  func() time.Time
	wait func(context.Context, time.Duration) error

	// turn is held by the one who reads; it guards what follows. The others
	// wait for it, and then find the answer there.
	turn         chan struct{}
	last, answer usage.Summary
}

func newMeter(sample func(context.Context) (usage.Summary, error)) *meter {
	return &meter{sample: sample, now: time.Now, wait: pause, turn: make(chan struct{}, 1)}
}

// pause waits, or returns why ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read is what is used now.
func (m *meter) read(ctx context.Context) (usage.Summary, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return usage.Summary{}, context.Cause(ctx)
	}
	if younger(m.now().Sub(m.answer.Time), answerLife) {
		return m.answer, nil
	}
	if !younger(m.now().Sub(m.last.Time), longestWindow) {
		first, err := m.sample(ctx)
		if err != nil {
			return usage.Summary{}, err
		}
		m.last = first
	}
	if err := m.wait(ctx, firstWindow-m.now().Sub(m.last.Time)); err != nil {
		return usage.Summary{}, err
	}
	next, err := m.sample(ctx)
	if err != nil {
		return usage.Summary{}, err
	}
	m.answer, m.last = usage.Rates(m.last, next), next
	return m.answer, nil
}

// younger tells whether an age is less than a limit, and none of a clock that
// was set back.
func younger(age, limit time.Duration) bool { return age >= 0 && age < limit }

// sampleUsage reads the counters of the machine, and of every container that
// runs in one of our Pods. The runtime reads them from the cgroups at each call.
func (a *Agent) sampleUsage(ctx context.Context) (usage.Summary, error) {
	s := usage.Summary{Time: time.Now(), Node: a.files.node(a.config.NodeName)}
	// The filter is empty, not missing: without one the runtime reads the
	// sandboxes' own processes too.
	stats, err := a.runtime.ListContainerStats(quiet(ctx), &runtimeapi.ContainerStatsFilter{})
	if err != nil {
		return s, fmt.Errorf("asking the container runtime what containers use: %w", err)
	}
	pods := map[types.UID]*usage.Pod{}
	for _, stat := range stats {
		uid := types.UID(stat.GetAttributes().GetLabels()[podUIDLabel])
		w := a.workerOf(uid)
		if w == nil || stat.Cpu == nil || stat.Cpu.UsageCoreNanoSeconds == nil {
			continue // somebody else's, or one that has ended
		}
		if pods[uid] == nil {
			labels := stat.Attributes.Labels
			pods[uid] = &usage.Pod{Ref: usage.PodRef{Name: labels[podNameLabel], Namespace: labels[podNamespaceLabel], UID: string(uid)}}
		}
		pods[uid].Containers = append(pods[uid].Containers, containerUsage(stat, w))
	}
	for _, pod := range pods {
		slices.SortFunc(pod.Containers, func(a, b usage.Container) int { return cmp.Compare(a.Name, b.Name) })
		s.Pods = append(s.Pods, *pod)
	}
	slices.SortFunc(s.Pods, func(a, b usage.Pod) int {
		return cmp.Or(cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.UID, b.Ref.UID))
	})
	return s, nil
}

func containerUsage(stat *runtimeapi.ContainerStats, w *worker) usage.Container {
	c := usage.Container{
		Name: stat.Attributes.Labels[containerNameLabel], ID: stat.Attributes.Id, StartTime: w.began(stat.Attributes.Id),
		CPU: &usage.CPU{Time: instant(stat.Cpu.Timestamp), UsageCoreNanoSeconds: stat.Cpu.UsageCoreNanoSeconds.Value},
	}
	if stat.Memory != nil && stat.Memory.WorkingSetBytes != nil {
		c.Memory = &usage.Memory{Time: instant(stat.Memory.Timestamp), WorkingSetBytes: stat.Memory.WorkingSetBytes.Value}
	}
	return c
}

// began is when a container was started, zero if the worker does not know it.
func (w *worker) began(id string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.observed.containers {
		if c.ID == id {
			return c.StartedAt
		}
	}
	return time.Time{}
}
