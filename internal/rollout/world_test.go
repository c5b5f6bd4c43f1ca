package rollout_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/rollout"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// world is what a scenario has built so far.
type world struct {
	now, since time.Time
	deployment *appsv1.Deployment
	sets       map[string]*appsv1.ReplicaSet
	pods       map[types.UID][]*corev1.Pod
	last       rollout.Decision
	// toEnd asks for a whole rollout instead of one wave.
	toEnd bool
}

func newWorld() *world {
	labels := map[string]string{"app": "web"}
	replicas := int32(3)
	limit, deadline := int32(10), int32(600)
	w := &world{now: start, sets: map[string]*appsv1.ReplicaSet{}, pods: map[types.UID][]*corev1.Pod{}}
	w.deployment = &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "uid-of-web", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, RevisionHistoryLimit: &limit, ProgressDeadlineSeconds: &deadline,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: template("v1"),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: bound("25%"), MaxUnavailable: bound("25%")}},
		},
	}
	return w
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}},
	}
}

// Do reads one line:
//
//	deployment [settings of changeDeployment]  a change by a user
//	rs NAME [settings of changeSet]            a ReplicaSet, new or changed
//	pod RS NAME [PHASE] [deleting]             a Pod of a ReplicaSet
//	gone NAME                                  a ReplicaSet or Pod has left the store
//	apply                                      what was decided last has been done
//	follow [NAME]                              every Pod that is wanted is there and available, of all ReplicaSets or one
//	refused MESSAGE                            the API does not let the new ReplicaSet be made
//	clock +DURATION                            or -DURATION
//	restart                                    the controller has just begun to watch
//	rollout                                    decide, apply and follow until nothing is left to do
func (w *world) Do(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	w.toEnd = false
	verb, rest := fields[0], fields[1:]
	switch verb {
	case "deployment":
		w.deployment.Generation++
		return w.changeDeployment(rest)
	case "rs":
		return w.changeSet(rest[0], rest[1:])
	case "pod":
		w.addPod(rest)
	case "gone":
		w.remove(rest[0])
	case "apply":
		return w.apply()
	case "follow":
		w.follow(rest...)
	case "clock":
		by, err := time.ParseDuration(rest[0])
		w.now = w.now.Add(by)
		return err
	case "restart":
		w.since = w.now
	case "refused":
		w.deployment.Status = rollout.CreateFailed(w.deployment, w.decide().Status, strings.Join(rest, " "), w.now)
	case "rollout":
		w.toEnd = true
	default:
		return fmt.Errorf("no such verb")
	}
	return nil
}

// Answer is the next decision, or all of them up to the rollout's end.
func (w *world) Answer() string {
	if !w.toEnd {
		return w.decide().String()
	}
	var out strings.Builder
	const most = 60
	for n := 1; n <= most; n++ {
		decision := w.decide()
		if len(decision.Actions) > 0 {
			fmt.Fprintf(&out, "%s\n", w.line())
			for _, action := range strings.Split(decision.String(), "\n")[:len(decision.Actions)] {
				fmt.Fprintf(&out, "  %s\n", action)
			}
		}
		before := w.line()
		if err := w.apply(); err != nil {
			return out.String() + err.Error() + "\n"
		}
		w.follow()
		if len(decision.Actions) == 0 && before == w.line() {
			return out.String() + w.line() + "\n" + w.decide().String()
		}
	}
	return out.String() + "it does not end\n"
}

// line is each ReplicaSet's available of wanted Pods.
func (w *world) line() string {
	var parts []string
	for _, rs := range w.sorted() {
		parts = append(parts, fmt.Sprintf("%s %d/%d", rs.Name, rs.Status.AvailableReplicas, *rs.Spec.Replicas))
	}
	if len(parts) == 0 {
		return "no ReplicaSet"
	}
	return strings.Join(parts, ", ")
}

func (w *world) sorted() []*appsv1.ReplicaSet {
	return slices.SortedFunc(maps.Values(w.sets), func(a, b *appsv1.ReplicaSet) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func (w *world) decide() rollout.Decision {
	sets := w.sorted()
	slices.Reverse(sets) // their order is to mean nothing
	w.last = rollout.Decide(rollout.Snapshot{Now: w.now, Since: w.since, Deployment: w.deployment, ReplicaSets: sets, Pods: w.pods})
	if err := errors.Join(checkEvents(w.last), checkConditions(w.deployment.Status.Conditions, w.last.Status.Conditions, w.now)); err != nil {
		panic(err)
	}
	return w.last
}

// checkEvents looks whether every change of a size is told, as it is.
func checkEvents(d rollout.Decision) error {
	for _, action := range d.Actions {
		var event *rollout.Event
		name, from, to := "", int32(0), int32(0)
		switch a := action.(type) {
		case rollout.Create:
			event, name, to = a.Event, a.ReplicaSet.Name, *a.ReplicaSet.Spec.Replicas
		case rollout.Update:
			event, name, from, to = a.Event, a.Name, a.From, a.To
		}
		want := ""
		switch {
		case from < to:
			want = fmt.Sprintf("Normal ScalingReplicaSet Scaled up replica set %s from %d to %d", name, from, to)
		case from > to:
			want = fmt.Sprintf("Normal ScalingReplicaSet Scaled down replica set %s from %d to %d", name, from, to)
		}
		got := ""
		if event != nil {
			got = event.Type + " " + event.Reason + " " + event.Message
		}
		if got != want {
			return fmt.Errorf("the event of %T is %q, want %q", action, got, want)
		}
	}
	return nil
}

// checkConditions looks whether a transition is what a condition's status made.
func checkConditions(before, after []appsv1.DeploymentCondition, now time.Time) error {
	for _, is := range after {
		want := metav1.NewTime(now)
		for _, was := range before {
			if was.Type == is.Type && was.Status == is.Status {
				want = was.LastTransitionTime
			}
		}
		if !is.LastTransitionTime.Equal(&want) {
			return fmt.Errorf("%s=%s says that it changed at %v, want %v", is.Type, is.Status, is.LastTransitionTime, want)
		}
	}
	return nil
}

// apply does what was decided last, as an API server would.
func (w *world) apply() error {
	for _, action := range w.last.Actions {
		switch a := action.(type) {
		case rollout.Adopt:
			w.sets[a.Name].OwnerReferences = w.owner()
		case rollout.Release:
			w.sets[a.Name].OwnerReferences = nil
		case rollout.Create:
			if w.sets[a.ReplicaSet.Name] != nil {
				return fmt.Errorf("%s exists", a.ReplicaSet.Name)
			}
			made := a.ReplicaSet.DeepCopy()
			made.UID, made.Generation = types.UID("uid-of-"+made.Name), 1
			w.now = w.now.Add(time.Second) // so that ages differ
			made.CreationTimestamp = metav1.NewTime(w.now)
			w.sets[made.Name] = made
		case rollout.Update:
			rs := w.sets[a.Name]
			rs.Spec.Replicas, rs.Spec.MinReadySeconds = &a.To, a.MinReadySeconds
			rs.Generation++
			maps.Copy(rs.Annotations, a.Annotations)
		case rollout.Delete:
			delete(w.sets, a.Name)
		case rollout.Annotate:
			if w.deployment.Annotations == nil {
				w.deployment.Annotations = map[string]string{}
			}
			maps.Copy(w.deployment.Annotations, a.Annotations)
		case rollout.RollBack:
			w.deployment.Annotations = a.Annotations
			if a.Template != nil {
				if hash, set := a.Template.Labels["pod-template-hash"]; set {
					return fmt.Errorf("the Deployment's template gets the hash %s", hash)
				}
				w.deployment.Generation++
				w.deployment.Spec.Template = *a.Template.DeepCopy()
			}
		}
	}
	w.deployment.Status = w.last.Status
	return nil
}

func (w *world) owner() []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(w.deployment, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
}

// follow is what the ReplicaSet controller and the nodes do.
func (w *world) follow(names ...string) {
	for _, rs := range w.sets {
		if len(names) > 0 && !slices.Contains(names, rs.Name) {
			continue
		}
		n, none := *rs.Spec.Replicas, int32(0)
		rs.Status = appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: n, AvailableReplicas: n, TerminatingReplicas: &none, ObservedGeneration: rs.Generation}
	}
}

func (w *world) addPod(args []string) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: args[1], Namespace: "default"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	for _, setting := range args[2:] {
		if setting == "deleting" {
			pod.DeletionTimestamp = &metav1.Time{Time: w.now}
		} else {
			pod.Status.Phase = corev1.PodPhase(setting)
		}
	}
	uid := types.UID("uid-of-" + args[0])
	w.pods[uid] = append(w.pods[uid], pod)
}

func (w *world) remove(name string) {
	delete(w.sets, name)
	for uid, pods := range w.pods {
		w.pods[uid] = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return pod.Name == name })
	}
}
