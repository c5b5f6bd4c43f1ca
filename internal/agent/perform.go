package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/agent/images"
	"coxswain.dev/cox/internal/podlifecycle"
	"coxswain.dev/cox/internal/routing"
)

// The pauses after an action failed: the first, and the longest of those that
// double.
var pauses = map[string][2]time.Duration{
	"volumes": {500 * time.Millisecond, 2 * time.Minute},
	"sandbox": {time.Second, 30 * time.Second},
	"start":   {10 * time.Second, 10 * time.Second},
	"pull":    {10 * time.Second, 300 * time.Second},
	"other":   {500 * time.Millisecond, 30 * time.Second},
}

func pauseAfter(kind string, last time.Duration) time.Duration {
	bounds, known := pauses[kind]
	if !known {
		bounds = pauses["other"]
	}
	return min(max(2*last, bounds[0]), bounds[1])
}

// begin starts an action. The caller holds the lock.
func (w *worker) begin(group *sync.WaitGroup, action podlifecycle.Action) {
	key := action.Key()
	if w.underway[key] != nil {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.underway[key] = cancel
	pod, status := w.pod, *w.status
	group.Go(func() {
		defer cancel()
		began := time.Now()
		err := w.perform(ctx, podWith(pod, status), action)
		w.log.Debug("done", "action", action.String(), "took", time.Since(began), "error", err)
		w.finished(action, err)
	})
}

// podWith is the Pod with the status that was decided last, which may be newer
// than what the API has shown.
func podWith(pod *corev1.Pod, status corev1.PodStatus) *corev1.Pod {
	copied := *pod
	copied.Status = status
	return &copied
}

// perform does an action, to its end.
func (w *worker) perform(ctx context.Context, pod *corev1.Pod, action podlifecycle.Action) error {
	a := w.agent
	switch action := action.(type) {
	case podlifecycle.PrepareVolumes:
		return w.prepareVolumes(ctx, pod)
	case podlifecycle.MakeSandbox:
		return w.makeSandbox(pod, action)
	case podlifecycle.PullImage:
		return w.pullImage(ctx, pod, action)
	case podlifecycle.StartContainer:
		return w.startContainer(ctx, pod, action)
	case podlifecycle.KillContainer:
		return w.killContainer(pod, action)
	case podlifecycle.RemoveContainer:
		return ignoreNotFound(a.runtime.RemoveContainer(w.ctx, action.ID))
	case podlifecycle.Unroute:
		w.unroute(ctx, pod, action)
		return nil
	case podlifecycle.Route:
		w.route(ctx, action)
		return nil
	case podlifecycle.StopSandbox:
		return ignoreNotFound(a.runtime.StopPodSandbox(w.ctx, action.ID))
	case podlifecycle.RemoveSandbox:
		return ignoreNotFound(a.runtime.RemovePodSandbox(w.ctx, action.ID))
	case podlifecycle.TearDown:
		return w.tearDown(pod)
	case podlifecycle.DeletePod:
		return w.publish.delete(ctx)
	}
	return fmt.Errorf("unknown action %T", action)
}

// finished notes how an action ended, and decides again.
func (w *worker) finished(action podlifecycle.Action, err error) {
	w.mu.Lock()
	key := action.Key()
	delete(w.underway, key)
	w.dirty = true
	if err == nil {
		delete(w.failures, key)
		w.noteDone(action)
	} else if w.ctx.Err() == nil {
		w.noteFailure(action, err)
	}
	w.mu.Unlock()
	w.nudge()
}

func (w *worker) noteDone(action podlifecycle.Action) {
	switch action := action.(type) {
	case podlifecycle.PrepareVolumes:
		w.volumesReady = true
	case podlifecycle.Unroute:
		w.unrouted = true
	case podlifecycle.TearDown:
		w.tornDown, w.volumesReady = true, false
	case podlifecycle.StartContainer:
		delete(w.images, action.Container)
	}
}

// noteFailure remembers a failure, and when to try again.
func (w *worker) noteFailure(action podlifecycle.Action, err error) {
	key := action.Key()
	var failed *startError
	failure := podlifecycle.Failure{Message: err.Error(), At: time.Now()}
	kind := "other"
	switch action := action.(type) {
	case podlifecycle.PullImage:
		w.noteNoImage(action.Container, err)
		return
	case podlifecycle.PrepareVolumes, podlifecycle.MakeSandbox:
		kind = key
	case podlifecycle.StartContainer:
		kind = "start"
		delete(w.images, action.Container)
		if errors.As(err, &failed) {
			failure.Reason, failure.Message = failed.reason, failed.Error()
			// What ran already waits by the back-off of its own.
			if failed.made {
				kind = ""
			}
		}
	}
	if kind != "" {
		failure.Backoff = pauseAfter(kind, w.failures[key].Backoff)
	}
	w.failures[key] = failure
	w.log.Info("did not work, trying again later", "action", action.String(), "error", err, "pause", failure.Backoff)
}

func (w *worker) noteNoImage(container string, err error) {
	image := podlifecycle.Image{Reason: "ErrImagePull", Message: err.Error(), At: time.Now()}
	var failed *images.Error
	if errors.As(err, &failed) {
		image.Reason, image.Message = failed.Reason, failed.Message
	}
	image.Backoff = pauseAfter("pull", w.images[container].Backoff)
	w.images[container] = image
}

func ignoreNotFound(err error) error {
	if isNotFound(err) {
		return nil
	}
	return err
}

func (w *worker) pullImage(ctx context.Context, pod *corev1.Pod, action podlifecycle.PullImage) error {
	c := containerOf(pod, action.Container)
	if c == nil {
		return fmt.Errorf("the Pod has no container %q any more", action.Container)
	}
	ref, err := w.agent.images.Ensure(ctx, images.Request{Pod: pod, Container: c, Event: func(kind, reason, message string) {
		w.agent.event(pod, c.Name, kind, reason, message)
	}})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[action.Container] = podlifecycle.Image{Ref: ref, At: time.Now()}
	return nil
}

// routeLimit and unrouteLimit bound how long a Pod that is ready, and one that
// stops, waits for the proxy.
const (
	routeLimit   = 2 * time.Second
	unrouteLimit = 2 * time.Second
)

// unroute lets a Pod stop only when nobody is led to it any more, and those
// who were have what they came for.
func (w *worker) unroute(ctx context.Context, pod *corev1.Pod, action podlifecycle.Unroute) {
	router := w.agent.config.Router
	if router == nil {
		return
	}
	listed := w.listedBy(pod)
	within := func(limit time.Duration, wait func(context.Context, routing.Leaving) error, level slog.Level, otherwise string) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		for _, text := range action.IPs {
			ip, err := netip.ParseAddr(text)
			if err == nil {
				err = wait(ctx, routing.Leaving{IP: ip, UID: pod.UID, Services: listed})
			}
			if err != nil && w.ctx.Err() == nil {
				w.log.Log(ctx, level, otherwise+"; stopping it all the same", "ip", text, "error", err)
			}
		}
	}
	within(unrouteLimit, router.Unrouted, slog.LevelWarn, "the proxy did not say in time that the Pod gets no new connections")
	if action.Drain > 0 {
		within(action.Drain, router.Drained, slog.LevelInfo, "the Pod's connections are still in use")
	}
}

// tearDown unmounts and removes what the Pod has on disk.
func (w *worker) tearDown(pod *corev1.Pod) error {
	return w.agent.volumes.TearDown(pod.UID)
}

// containerOf finds a container of any kind by its name.
func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon); c.Name == name {
			return &c
		}
	}
	return nil
}
