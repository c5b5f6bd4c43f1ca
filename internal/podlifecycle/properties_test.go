package podlifecycle

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
)

// drawPod is any small Pod.
func drawPod(t *rapid.T) *corev1.Pod {
	pod := podOf()
	pod.Spec.RestartPolicy = rapid.SampledFrom([]corev1.RestartPolicy{"Always", "OnFailure", "Never"}).Draw(t, "policy")
	always := corev1.ContainerRestartPolicyAlways
	for i := range rapid.IntRange(0, 3).Draw(t, "inits") {
		c := drawContainer(t, fmt.Sprintf("init%d", i))
		if rapid.Bool().Draw(t, "sidecar") {
			c.RestartPolicy = &always
		} else {
			c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = nil, nil, nil
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "mains") {
		pod.Spec.Containers = append(pod.Spec.Containers, drawContainer(t, fmt.Sprintf("main%d", i)))
	}
	return pod
}

func drawContainer(t *rapid.T, name string) corev1.Container {
	c := corev1.Container{Name: name, Image: name + ":v1"}
	for _, probe := range []**corev1.Probe{&c.StartupProbe, &c.LivenessProbe, &c.ReadinessProbe} {
		if rapid.Bool().Draw(t, "probe") {
			*probe = httpProbe
		}
	}
	return c
}

// disturb lets something happen that the agent has no hand in.
func (w *world) disturb(t *rapid.T) {
	names := []string{}
	for i := range w.s.Containers {
		if w.s.Containers[i].State == Running {
			names = append(names, w.s.Containers[i].Name)
		}
	}
	happening := rapid.SampledFrom([]string{"time", "exit", "probe", "sandbox", "lost", "break", "mend", "delete"}).Draw(t, "happening")
	if len(names) == 0 && (happening == "exit" || happening == "probe" || happening == "lost") {
		happening = "time"
	}
	switch happening {
	case "time":
		w.pass(time.Duration(rapid.IntRange(1, 700).Draw(t, "seconds")) * time.Second)
	case "exit":
		w.exit(rapid.SampledFrom(names).Draw(t, "who"), int32(rapid.IntRange(0, 1).Draw(t, "code")))
	case "probe":
		result := ProbeResult(rapid.IntRange(0, 2).Draw(t, "result"))
		kind := rapid.SampledFrom([]func(*ProbeResults){
			func(r *ProbeResults) { r.Startup = result }, func(r *ProbeResults) { r.Liveness = result }, func(r *ProbeResults) { r.Readiness = result },
		}).Draw(t, "kind")
		w.probe(rapid.SampledFrom(names).Draw(t, "who"), kind)
	case "sandbox":
		for i := range w.s.Sandboxes {
			w.s.Sandboxes[i].Ready = false
		}
	case "lost":
		w.find(rapid.SampledFrom(names).Draw(t, "who")).State = Unknown
	case "break":
		key := rapid.SampledFrom([]string{"volumes", "sandbox", "start/main0", "unroute"}).Draw(t, "what")
		w.broken[key] = Failure{Reason: "CreateContainerError", Message: "broken", Backoff: time.Second}
	case "mend":
		clear(w.broken)
	case "delete":
		if w.s.Pod.DeletionTimestamp == nil {
			w.delete(int64(rapid.IntRange(0, 60).Draw(t, "grace")))
		}
	}
}

// check holds for every single decision.
func (w *world) check(t *rapid.T, d Decision) {
	again := Decide(w.s)
	if d.String() != Decide(w.s).String() {
		t.Fatalf("the same snapshot gave two decisions:\n%s\n%s", d, again)
	}
	started := map[string]bool{}
	for _, action := range d.Actions {
		if w.s.Underway[action.Key()] {
			t.Fatalf("%s is under way already", action)
		}
		switch action := action.(type) {
		case StartContainer:
			if c := w.find(action.Container); started[action.Container] || c != nil && running(c) {
				t.Fatalf("%s would run twice", action.Container)
			}
			started[action.Container] = true
			if w.s.Pod.DeletionTimestamp != nil || terminal(w.s.Pod.Status.Phase) {
				t.Fatalf("%s is started in a Pod that has ended", action.Container)
			}
		case KillContainer:
			routed := !w.s.Unrouted && w.s.Pod.DeletionTimestamp != nil && newView(w.s).sandbox != nil
			if routed && !w.s.Gone {
				t.Fatalf("%s is stopped while connections are still led to it", action.Container)
			}
		case DeletePod:
			for _, c := range w.s.Containers {
				if running(&c) {
					t.Fatalf("the Pod is deleted while %s runs", c.Name)
				}
			}
		}
	}
	if terminal(w.s.Pod.Status.Phase) && d.Status.Phase != w.s.Pod.Status.Phase {
		t.Fatalf("phase %s after %s", d.Status.Phase, w.s.Pod.Status.Phase)
	}
}

// calm decides and does until nothing more happens, letting time pass.
func (w *world) calm(t *rapid.T) Decision {
	for range 400 {
		d := Decide(w.s)
		w.check(t, d)
		w.s.Pod.Status = d.Status
		for _, action := range d.Actions {
			w.do(action)
		}
		if len(d.Actions) > 0 {
			continue
		}
		if d.WakeAt.IsZero() {
			return d
		}
		if !d.WakeAt.After(w.s.Now) {
			t.Fatalf("to be woken at %v, which is past at %v", d.WakeAt, w.s.Now)
		}
		w.s.Now = d.WakeAt
	}
	t.Fatalf("nothing comes of it:\n%s", Decide(w.s))
	return Decision{}
}

func TestWhateverHappensAPodEndsWhereItShould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(drawPod(t))
		for range rapid.IntRange(0, 25).Draw(t, "happenings") {
			d := Decide(w.s)
			w.check(t, d)
			w.s.Pod.Status = d.Status
			for _, action := range d.Actions {
				if rapid.IntRange(0, 9).Draw(t, "late") > 0 {
					w.do(action)
				}
			}
			w.disturb(t)
		}
		clear(w.broken)
		w.wellAgain()
		d := w.calm(t)
		if w.s.Pod.DeletionTimestamp == nil {
			w.mustRun(t, d)
			w.delete(10)
		}
		w.calm(t)
		if !w.s.Gone || len(w.s.Containers) > 0 || len(w.s.Sandboxes) > 0 {
			t.Fatalf("something of a deleted Pod is left: %v %v", w.s.Containers, w.s.Sandboxes)
		}
	})
}

// wellAgain has every probe succeed and every init container with it.
func (w *world) wellAgain() { w.s.Probes = map[string]ProbeResults{} }

// mustRun fails unless the Pod has ended, or waits for its init containers or
// probes, or is Running with all its containers.
func (w *world) mustRun(t *rapid.T, d Decision) {
	if terminal(d.Status.Phase) || d.Status.Phase == corev1.PodPending || !newView(w.s).initsDone() {
		return
	}
	for i := range w.s.Pod.Spec.Containers {
		spec := &w.s.Pod.Spec.Containers[i]
		c := w.find(spec.Name)
		if c == nil {
			t.Fatalf("%s never ran:\n%s", spec.Name, d)
		}
		if c.State != Running && newView(w.s).restarts(spec, c.ExitCode) {
			t.Fatalf("%s does not run:\n%s", spec.Name, d)
		}
	}
}
