package autoscale

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	resources "k8s.io/component-helpers/resource"
)

// count is the Pods of a target and what they use of one resource, all in
// thousandths.
type count struct {
	// current is the target's size.
	current int32
	// ready are the Pods that count as they are. Those of which nothing is
	// known are missing; those that are only coming up are unready. Pods on
	// their way out, and failed ones, are none of these.
	ready            int
	missing, unready []string
	// used is by Pod, of the ready ones, and requested of all.
	used, requested map[string]int64
	// noRequest is why utilization cannot be told.
	noRequest error
	// up and down are the tolerances.
	up, down float64
}

// countPods looks at every Pod of the target.
func (d *deciding) countPods(name corev1.ResourceName, container string) (*count, error) {
	readings, err := d.readings(name, container)
	if err != nil {
		return nil, fmt.Errorf("unable to get metrics for resource %s: %w", name, err)
	}
	pods := slices.SortedFunc(slices.Values(d.Pods), func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	if len(pods) == 0 {
		return nil, errors.New("no pods returned by selector while calculating replica count")
	}
	c := &count{current: d.Scale.Spec.Replicas, used: map[string]int64{}, requested: map[string]int64{}}
	c.up, c.down = d.tolerances()
	for _, pod := range pods {
		reading, known := readings[pod.Name]
		switch {
		case pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed:
		case pod.Status.Phase == corev1.PodPending:
			c.unready = append(c.unready, pod.Name)
		case !known:
			c.missing = append(c.missing, pod.Name)
		case name == corev1.ResourceCPU && d.isComingUp(pod, reading):
			c.unready = append(c.unready, pod.Name)
		default:
			c.ready++
			c.used[pod.Name] = reading.used
		}
		request, err := requestOf(pod, container, name)
		if err != nil && c.noRequest == nil {
			c.noRequest = err
		}
		c.requested[pod.Name] = request
	}
	if len(c.used) == 0 {
		return nil, errors.New("did not receive metrics for targeted pods (pods might be unready)")
	}
	return c, nil
}

// reading is what one Pod uses of a resource.
type reading struct {
	used   int64
	end    time.Time
	window time.Duration
}

// readings are by Pod. Without all of its containers a Pod is not known.
func (d *deciding) readings(name corev1.ResourceName, container string) (map[string]reading, error) {
	if d.UsageError != "" {
		return nil, errors.New("unable to fetch metrics from resource metrics API: " + d.UsageError)
	}
	if len(d.Usage) == 0 {
		return nil, errors.New("no metrics returned from resource metrics API")
	}
	found := map[string]reading{}
	for _, pod := range d.Usage {
		r, seen, complete := reading{end: pod.End, window: pod.Window}, false, len(pod.Containers) > 0
		for _, c := range pod.Containers {
			if container != "" && c.Name != container {
				continue
			}
			amount, ok := c.Used[name]
			r.used, seen, complete = r.used+amount.MilliValue(), true, complete && ok
		}
		if container != "" && !seen {
			return nil, fmt.Errorf("failed to get container metrics: container %s not present in metrics for pod %s/%s", container, d.Autoscaler.Namespace, pod.Pod)
		}
		if complete {
			found[pod.Pod] = r
		}
	}
	return found, nil
}

// isComingUp tells whether what a Pod uses is still that of its start.
func (d *deciding) isComingUp(pod *corev1.Pod, r reading) bool {
	var ready *corev1.PodCondition
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			ready = &pod.Status.Conditions[i]
		}
	}
	if ready == nil || pod.Status.StartTime == nil {
		return true
	}
	started, changed := pod.Status.StartTime.Time, ready.LastTransitionTime.Time
	if started.Add(cpuInitialization).After(d.Now) {
		return ready.Status == corev1.ConditionFalse || r.end.Before(changed.Add(r.window))
	}
	return ready.Status == corev1.ConditionFalse && started.Add(initialReadiness).After(changed)
}

// requestOf is what a Pod, or one container of it, has asked for.
func requestOf(pod *corev1.Pod, container string, name corev1.ResourceName) (int64, error) {
	if pod.Spec.Resources != nil && len(pod.Spec.Resources.Requests) > 0 && container == "" {
		whole := resources.PodRequests(pod, resources.PodResourcesOptions{})
		request, ok := whole[name]
		if !ok {
			return 0, fmt.Errorf("missing pod-level request for %s in Pod %s", name, pod.Name)
		}
		return request.MilliValue(), nil
	}
	sum, found := int64(0), false
	for _, list := range [][]corev1.Container{pod.Spec.Containers, sidecars(pod)} {
		for i := range list {
			if container != "" && list[i].Name != container {
				continue
			}
			request, ok := list[i].Resources.Requests[name]
			if !ok {
				return 0, fmt.Errorf("missing request for %s in container %s of Pod %s", name, list[i].Name, pod.Name)
			}
			sum, found = sum+request.MilliValue(), true
		}
	}
	if container != "" && !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, pod.Name)
	}
	return sum, nil
}

// sidecars are the init containers that run on.
func sidecars(pod *corev1.Pod) []corev1.Container {
	return slices.DeleteFunc(slices.Clone(pod.Spec.InitContainers), func(c corev1.Container) bool {
		return c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})
}

// byUtilization is the size at which Pods use so many percent of what they have
// requested, and how much they use now.
func (c *count) byUtilization(target int32) (replicas, percent int32, average int64, err error) {
	if c.noRequest != nil {
		return 0, 0, 0, c.noRequest
	}
	percent, average, ok := c.utilization()
	if !ok || target < 1 {
		return 0, 0, 0, errors.New("no metrics returned matched known pods")
	}
	replicas = c.size(float64(percent)/float64(target), func(pod string) int64 {
		return c.requested[pod] * int64(max(100, target)) / 100
	}, func() float64 {
		percent, _, _ := c.utilization()
		return float64(percent) / float64(target)
	})
	return replicas, percent, average, nil
}

// byValue is the size at which Pods use so much each, and how much they use now.
func (c *count) byValue(target int64) (replicas int32, average int64) {
	target = max(target, 1)
	average = c.average()
	replicas = c.size(float64(average)/float64(target), func(string) int64 { return target }, func() float64 {
		return float64(c.average()) / float64(target)
	})
	return replicas, average
}

// size is the size that a ratio of use to target asks for. Pods of which
// nothing is known count against a change: as if they used what most allows
// where the others use too little, and nothing where they use too much.
func (c *count) size(ratio float64, most func(pod string) int64, again func() float64) int32 {
	withUnready := len(c.unready) > 0 && ratio > 1
	if !withUnready && len(c.missing) == 0 {
		if c.tolerates(ratio) {
			return c.current
		}
		return ceiling(ratio * float64(c.ready))
	}
	for _, pod := range c.missing {
		switch {
		case ratio < 1:
			c.used[pod] = most(pod)
		case ratio > 1:
			c.used[pod] = 0
		}
	}
	if withUnready {
		for _, pod := range c.unready {
			c.used[pod] = 0
		}
	}
	adjusted := again()
	if c.tolerates(adjusted) || ratio < 1 && adjusted > 1 || ratio > 1 && adjusted < 1 {
		return c.current
	}
	size := ceiling(adjusted * float64(len(c.used)))
	if adjusted < 1 && size > c.current || adjusted > 1 && size < c.current {
		return c.current
	}
	return size
}

func (c *count) tolerates(ratio float64) bool { return 1-c.down <= ratio && ratio <= 1+c.up }

// ceiling is the next whole size, within what a size can be.
func ceiling(size float64) int32 { return int32(min(max(math.Ceil(size), 0), math.MaxInt32)) }

func (c *count) average() int64 {
	var sum int64
	for _, used := range c.used {
		sum += used
	}
	return sum / int64(len(c.used))
}

// utilization is what is used, in percent of what was requested, and on average.
func (c *count) utilization() (percent int32, average int64, ok bool) {
	var used, requested int64
	for pod, amount := range c.used {
		used, requested = used+amount, requested+c.requested[pod]
	}
	if requested <= 0 {
		return 0, 0, false
	}
	// In two steps, as thousandths of bytes by a hundred may be too many.
	whole := used/requested*100 + used%requested*100/requested
	return int32(min(whole, math.MaxInt32)), used / int64(len(c.used)), true
}
