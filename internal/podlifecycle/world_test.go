package podlifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// began is when every scenario begins.
var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a runtime and an API that do what a Decision says, at once.
type world struct {
	s    Snapshot
	text strings.Builder
	// broken has failures by the key of the action that meets them.
	broken map[string]Failure
	// noImage has failures by container.
	noImage map[string]Image
	// noRoute is set while Services do not lead to the Pod in time.
	noRoute bool
	// seen are the events of the last decision.
	seen map[Event]bool
	made int
}

func newWorld(pod *corev1.Pod) *world {
	pod.Name, pod.Namespace, pod.UID, pod.Generation = "web", "default", "u1", 1
	pod.Spec.NodeName = "node"
	return &world{
		s: Snapshot{
			Now: began, Pod: pod, HostIPs: []string{"10.0.0.1"},
			Probes: map[string]ProbeResults{}, Images: map[string]Image{}, Failures: map[string]Failure{}, Underway: map[string]bool{},
		},
		broken: map[string]Failure{}, noImage: map[string]Image{},
	}
}

// podOf is a Pod with one plain container for every name.
func podOf(names ...string) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways}}
	for _, name := range names {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: name + ":v1"})
	}
	return pod
}

// say writes a heading into the golden text.
func (w *world) say(format string, args ...any) {
	fmt.Fprintf(&w.text, "== %s: %s\n", w.s.Now.Format("15:04:05"), fmt.Sprintf(format, args...))
}

// decide decides once, publishes the status and writes the decision down.
func (w *world) decide() Decision {
	d := Decide(w.s)
	w.s.Pod.Status = d.Status
	if _, has := newView(w.s).condition(RoutedCondition); !has {
		w.s.Routed = RoutedUnknown // as the agent forgets it
	}
	return d
}

// settle decides and does until there is nothing more to do now. It writes
// down every decision that has actions, and the last one.
func (w *world) settle() Decision {
	for range 50 {
		d := w.decide()
		w.write(d)
		if len(d.Actions) == 0 {
			return d
		}
		for _, action := range d.Actions {
			w.do(action)
		}
	}
	panic("a world that does not settle:\n" + w.text.String())
}

func (w *world) write(d Decision) {
	shown := d
	shown.Events = slices.DeleteFunc(slices.Clone(d.Events), func(e Event) bool { return w.seen[e] })
	w.seen = map[Event]bool{}
	for _, event := range d.Events {
		w.seen[event] = true
	}
	w.text.WriteString(shown.String() + "\n")
}

func (w *world) do(action Action) {
	key := action.Key()
	if failure, broken := w.broken[key]; broken {
		failure.At = w.s.Now
		w.s.Failures[key] = failure
		if start, ok := action.(StartContainer); ok {
			delete(w.s.Images, start.Container)
			if failure.Reason == "RunContainerError" {
				w.addContainer(start, Exited)
				c := &w.s.Containers[len(w.s.Containers)-1]
				c.ExitCode, c.Reason, c.StartedAt, c.FinishedAt = 128, "StartError", time.Time{}, w.s.Now
			}
		}
		return
	}
	delete(w.s.Failures, key)
	w.doWell(action)
}

func (w *world) doWell(action Action) {
	switch action := action.(type) {
	case PrepareVolumes:
		w.s.VolumesReady = true
	case MakeSandbox:
		w.made++
		w.s.Sandboxes = append(w.s.Sandboxes, Sandbox{ID: fmt.Sprintf("s%d", w.made), Attempt: action.Attempt,
			CreatedAt: w.s.Now.Add(time.Duration(w.made)), Ready: true, IPs: []string{fmt.Sprintf("10.244.0.%d", w.made+1)}})
	case PullImage:
		image, broken := w.noImage[action.Container]
		if !broken {
			image = Image{Ref: "sha256:" + action.Container}
		}
		image.At = w.s.Now
		w.s.Images[action.Container] = image
	case StartContainer:
		delete(w.s.Images, action.Container)
		w.addContainer(action, Running)
	case KillContainer:
		w.end(action.ID, 137, "Error")
	case RemoveContainer:
		w.s.Containers = slices.DeleteFunc(w.s.Containers, func(c Container) bool { return c.ID == action.ID })
	case Unroute:
		w.s.Unrouted = true
	case Route:
		if w.s.Routed = RoutedByAll; w.noRoute {
			w.s.Routed = RoutedLate
		}
	case StopSandbox:
		for i := range w.s.Sandboxes {
			if w.s.Sandboxes[i].ID == action.ID {
				w.s.Sandboxes[i].Ready = false
			}
		}
	case RemoveSandbox:
		w.s.Sandboxes = slices.DeleteFunc(w.s.Sandboxes, func(s Sandbox) bool { return s.ID == action.ID })
		w.s.Containers = slices.DeleteFunc(w.s.Containers, func(c Container) bool { return c.SandboxID == action.ID })
	case TearDown:
		w.s.TornDown, w.s.VolumesReady = true, false
	case DeletePod:
		w.s.Gone = true
	}
}

func (w *world) addContainer(start StartContainer, state ContainerState) {
	w.made++
	w.s.Containers = append(w.s.Containers, Container{
		ID: fmt.Sprintf("c%d", w.made), Name: start.Container, SandboxID: start.SandboxID, State: state,
		CreatedAt: w.s.Now, StartedAt: w.s.Now, Image: start.Container + ":v1", ImageID: start.ImageRef,
		RestartCount: start.RestartCount, Backoff: start.Backoff, Hash: start.Hash,
	})
}

// find returns the newest container of a name.
func (w *world) find(name string) *Container {
	var newest *Container
	for i := range w.s.Containers {
		if c := &w.s.Containers[i]; c.Name == name && (newest == nil || c.RestartCount >= newest.RestartCount) {
			newest = c
		}
	}
	return newest
}

func (w *world) end(id string, code int32, reason string) {
	for i := range w.s.Containers {
		if c := &w.s.Containers[i]; c.ID == id {
			c.State, c.ExitCode, c.Reason, c.FinishedAt = Exited, code, reason, w.s.Now
		}
	}
}

// exit ends the running container of a name.
func (w *world) exit(name string, code int32) {
	reason := "Error"
	if code == 0 {
		reason = "Completed"
	}
	w.end(w.find(name).ID, code, reason)
}

// probe sets a result of the running container of a name.
func (w *world) probe(name string, change func(*ProbeResults)) {
	id := w.find(name).ID
	results := w.s.Probes[id]
	change(&results)
	w.s.Probes[id] = results
}

// agentDiesInAStart leaves a container that was created, and a new agent that
// sees it a minute after the Pod was made.
func (w *world) agentDiesInAStart() {
	for d := w.decide(); len(d.Actions) > 0; d = w.decide() {
		for _, action := range d.Actions {
			w.do(action)
		}
		if c := w.find("app"); c != nil {
			c.State, c.StartedAt = Created, time.Time{}
			break
		}
	}
	w.pass(time.Minute)
	w.s.Since = w.s.Now
	w.say("a new agent")
	w.settle()
}

func (w *world) pass(d time.Duration) { w.s.Now = w.s.Now.Add(d) }

func (w *world) delete(grace int64) {
	at := metav1.NewTime(w.s.Now.Add(time.Duration(grace) * time.Second))
	w.s.Pod.DeletionTimestamp, w.s.Pod.DeletionGracePeriodSeconds = &at, &grace
}
