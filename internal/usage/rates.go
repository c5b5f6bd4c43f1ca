package usage

import "time"

// ShortestWindow is the least time that tells a rate. The kernel books time in
// steps, and the start of a program is not what it uses.
const ShortestWindow = 500 * time.Millisecond

// Rates is the later sample, with the rates that follow from both. It changes
// neither.
func Rates(before, after Summary) Summary {
	after.Node.CPU = rated(before.Node.CPU, time.Time{}, after.Node.CPU)
	known := containersOf(before)
	pods := make([]Pod, len(after.Pods))
	for i, pod := range after.Pods {
		pods[i] = Pod{Ref: pod.Ref, Containers: make([]Container, len(pod.Containers))}
		for j, c := range pod.Containers {
			started := c.StartTime
			if started.Before(before.Time) {
				// It ran before the first sample: from its start on would be
				// the average of its life, not what it uses now.
				started = time.Time{}
			}
			c.CPU = rated(known[key{pod.Ref.UID, c.Name, c.ID}], started, c.CPU)
			pods[i].Containers[j] = c
		}
	}
	after.Pods = pods
	return after
}

// key finds a container again. One that was started anew is another one, and
// so is one of a Pod that was made anew under its old name.
type key struct{ pod, name, id string }

func containersOf(s Summary) map[key]*CPU {
	known := map[key]*CPU{}
	for _, pod := range s.Pods {
		for _, c := range pod.Containers {
			known[key{pod.Ref.UID, c.Name, c.ID}] = c.CPU
		}
	}
	return known
}

// rated is a copy of after with its rate: since before, or since started where
// there is no reading before, or one that is greater (the counter began anew).
func rated(before *CPU, started time.Time, after *CPU) *CPU {
	if after == nil {
		return nil
	}
	cpu := *after
	cpu.UsageNanoCores, cpu.Window = nil, 0
	since, taken := started, cpu.UsageCoreNanoSeconds
	if before != nil && before.UsageCoreNanoSeconds <= cpu.UsageCoreNanoSeconds {
		since, taken = before.Time, cpu.UsageCoreNanoSeconds-before.UsageCoreNanoSeconds
	}
	window := cpu.Time.Sub(since)
	if since.IsZero() || window < ShortestWindow {
		return &cpu
	}
	rate := uint64(float64(taken) / window.Seconds())
	cpu.UsageNanoCores, cpu.Window = &rate, window
	return &cpu
}

// Span is the time that a Pod's rates are of: it ends with the oldest reading
// of its containers and is as long as the shortest window. ok is false unless
// every running container has both its rate and its memory: a part of a Pod
// would pass for the whole.
func (p Pod) Span() (end time.Time, window time.Duration, ok bool) {
	for i, c := range p.Containers {
		if c.CPU == nil || c.CPU.UsageNanoCores == nil || c.Memory == nil {
			return time.Time{}, 0, false
		}
		if i == 0 || c.CPU.Time.Before(end) {
			end = c.CPU.Time
		}
		if i == 0 || c.CPU.Window < window {
			window = c.CPU.Window
		}
	}
	return end, window, len(p.Containers) > 0
}
