package replicas_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// world is what a scenario has built so far.
type world struct {
	now           time.Time
	set           *replicas.Set
	pods, related map[string]*corev1.Pod
	failed        *replicas.Failure
	last          replicas.Decision
	made          int
}

func newWorld() *world {
	labelsOf := map[string]string{"app": "web"}
	return &world{
		now: start,
		set: &replicas.Set{
			Kind:     schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
			Meta:     metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "uid-of-web", Generation: 1},
			Selector: labels.SelectorFromSet(labelsOf),
			Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf}},
		},
		pods: map[string]*corev1.Pod{}, related: map[string]*corev1.Pod{},
	}
}

func (w *world) decide() replicas.Decision {
	w.last = replicas.Decide(replicas.Snapshot{
		Now: w.now, Set: w.set, Failed: w.failed,
		Pods: slices.Collect(maps.Values(w.pods)), Related: slices.Collect(maps.Values(w.related)),
	})
	return w.last
}

// Answer is the decision about the world as it is.
func (w *world) Answer() string { return w.decide().String() }

// Do reads one line:
//
//	set [replicas=N] [selector=k=v,…] [template=k=v,…|none] [minReady=N] [generation=N] [deleting]
//	pod NAME [settings of podOf]      a Pod that the set may own
//	related NAME [settings of podOf]  a Pod of a sibling set
//	gone NAME                         the Pod has left the store
//	apply                             what was decided last has been done
//	failed REASON MESSAGE             the last attempt was refused; "failed no": it went well
//	clock +DURATION
func (w *world) Do(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	verb, rest := fields[0], fields[1:]
	switch verb {
	case "set":
		return w.changeSet(rest)
	case "pod", "related":
		pod, err := w.podOf(rest[0], rest[1:])
		into := map[string]map[string]*corev1.Pod{"pod": w.pods, "related": w.related}[verb]
		into[rest[0]] = pod
		return err
	case "gone":
		delete(w.pods, rest[0])
	case "apply":
		w.apply()
	case "failed":
		w.failed = nil
		if rest[0] != "no" {
			w.failed = &replicas.Failure{Reason: rest[0], Message: strings.Join(rest[1:], " "), Since: metav1.NewTime(w.now)}
		}
	case "clock":
		by, err := time.ParseDuration(strings.TrimPrefix(rest[0], "+"))
		w.now = w.now.Add(by)
		return err
	default:
		return fmt.Errorf("no such verb")
	}
	return nil
}

func (w *world) changeSet(settings []string) error {
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		number, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "replicas":
			w.set.Replicas = int32(number)
		case "minReady":
			w.set.MinReadySeconds = int32(number)
		case "generation":
			w.set.Meta.Generation = number
		case "name":
			w.set.Meta.Name = value
		case "kind":
			w.set.Kind = corev1.SchemeGroupVersion.WithKind(value)
		case "deleting":
			w.set.Meta.DeletionTimestamp = &metav1.Time{Time: w.now}
		case "template":
			if value == "none" {
				w.set.Template = nil
				continue
			}
			w.set.Template.Labels = labelsOf(value)
		case "selector":
			w.set.Selector = selectorOf(value)
		default:
			return fmt.Errorf("no such setting of a set: %q", name)
		}
	}
	return nil
}

// apply does what was decided last, as an API server would.
func (w *world) apply() {
	for _, ref := range w.last.Adopt {
		w.pods[ref.Name].OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&w.set.Meta, w.set.Kind)}
	}
	for _, ref := range w.last.Release {
		w.pods[ref.Name].OwnerReferences = nil
	}
	for range w.last.Create {
		w.made++
		pod := replicas.NewPod(w.set, fmt.Sprintf("new%02d", w.made))
		pod.UID = types.UID("uid-of-" + pod.Name)
		pod.CreationTimestamp = metav1.NewTime(w.now)
		pod.Status.Phase = corev1.PodPending
		w.pods[pod.Name] = pod
	}
	for _, ref := range w.last.Delete {
		w.pods[ref.Name].DeletionTimestamp = &metav1.Time{Time: w.now}
	}
	w.set.Status = w.last.Status
}

// selectorOf reads labels; "everything" and "nothing" are what no API stores.
func selectorOf(text string) labels.Selector {
	switch text {
	case "everything":
		return labels.Everything()
	case "nothing":
		return labels.Nothing()
	default:
		return labels.SelectorFromSet(labelsOf(text))
	}
}

func labelsOf(text string) map[string]string {
	set := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, "=")
		set[key] = value
	}
	return set
}
