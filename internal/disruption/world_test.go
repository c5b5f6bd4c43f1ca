package disruption_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/disruption"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// world is what a scenario has built so far: one budget, and what it is about.
type world struct {
	now       time.Time
	budget    *policyv1.PodDisruptionBudget
	pods      map[string]*corev1.Pod
	workloads map[types.UID]disruption.Workload
	last      disruption.Decision
	said      strings.Builder
}

func newWorld() *world {
	return &world{
		now: start, pods: map[string]*corev1.Pod{}, workloads: map[types.UID]disruption.Workload{},
		budget: &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Generation: 1},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		},
	}
}

func (w *world) decide() disruption.Decision {
	w.last = disruption.Decide(disruption.Snapshot{
		Now: w.now, Budget: w.budget, Pods: slices.Collect(maps.Values(w.pods)), Workloads: w.workloads,
	})
	return w.last
}

// Answer is what evictions got since the last one, and what is decided about
// the world as it is.
func (w *world) Answer() string {
	defer w.said.Reset()
	return w.said.String() + w.decide().String()
}

// Do reads one line:
//
//	budget [min=…] [max=…] [policy=…] [selector=k=v|none|all|bad] [generation=N]
//	workload NAME N [of NAME]     wants N Pods
//	pods PREFIX N [settings]      so many Pods: web-1, web-2 …
//	pod NAME [of=NAME|none] [kind=…] [labels=k=v] [phase=…] [namespace=…] [unready] [unset] [deleting]
//	gone NAME                     a Pod or a workload is no more
//	apply                         the status was written
//	evict NAME                    asks the budget, as it is stored
//	clock +DURATION
func (w *world) Do(line string) error {
	fields := strings.Fields(line)
	verb, rest := fields[0], fields[1:]
	switch verb {
	case "budget":
		return w.changeBudget(rest)
	case "workload":
		number, err := strconv.ParseInt(rest[1], 10, 32)
		workload := disruption.Workload{Replicas: int32(number)}
		if len(rest) > 2 {
			workload.Owner = uidOf(rest[3])
		}
		w.workloads[uidOf(rest[0])] = workload
		return err
	case "pods":
		number, err := strconv.Atoi(rest[1])
		for i := range number {
			err = errors.Join(err, w.makePod(fmt.Sprintf("%s-%d", rest[0], i+1), rest[2:]))
		}
		return err
	case "pod":
		return w.makePod(rest[0], rest[1:])
	case "gone":
		delete(w.pods, rest[0])
		delete(w.workloads, uidOf(rest[0]))
	case "apply":
		w.budget.Status = w.last.Status
	case "evict":
		w.evict(rest[0])
	case "clock":
		by, err := time.ParseDuration(strings.TrimPrefix(rest[0], "+"))
		w.now = w.now.Add(by)
		return err
	default:
		return errors.New("no such verb")
	}
	return nil
}

func uidOf(name string) types.UID { return types.UID("uid-of-" + name) }

// evict does what the API does, but for the deletion itself.
func (w *world) evict(name string) {
	pod := w.pods[name]
	switch {
	case !disruption.Disrupts(pod):
		fmt.Fprintf(&w.said, "%s goes: it disrupts nothing\n", name)
	case !disruption.Guards(w.budget, pod):
		fmt.Fprintf(&w.said, "%s goes as it is\n", name)
	default:
		if err := disruption.Spend(w.budget, name, w.now); err != nil {
			fmt.Fprintf(&w.said, "%s stays: %v\n", name, err)
			return
		}
		fmt.Fprintf(&w.said, "%s goes\n", name)
	}
}

func (w *world) changeBudget(settings []string) error {
	spec := &w.budget.Spec
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		switch name {
		case "min":
			spec.MinAvailable, spec.MaxUnavailable = ptr.To(intstr.Parse(value)), nil
		case "max":
			spec.MinAvailable, spec.MaxUnavailable = nil, ptr.To(intstr.Parse(value))
		case "policy":
			spec.UnhealthyPodEvictionPolicy = ptr.To(policyv1.UnhealthyPodEvictionPolicyType(value))
		case "selector":
			spec.Selector = selectorOf(value)
		case "generation":
			number, err := strconv.ParseInt(value, 10, 64)
			w.budget.Generation = number
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("no such setting of a budget: %q", name)
		}
	}
	return nil
}

func selectorOf(text string) *metav1.LabelSelector {
	switch text {
	case "none":
		return nil
	case "all":
		return &metav1.LabelSelector{}
	case "bad":
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Near"}}}
	}
	key, value, _ := strings.Cut(text, "=")
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

// makePod makes a Pod of the ReplicaSet "web" that runs and is ready, but for
// what the settings say.
func (w *world) makePod(name string, settings []string) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: uidOf(name), Labels: map[string]string{"app": "web"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: uidOf("web"), Controller: ptr.To(true)}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		}},
	}
	w.pods[name] = pod
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		switch key {
		case "of":
			pod.OwnerReferences[0].Name, pod.OwnerReferences[0].UID = value, uidOf(value)
			if value == "none" {
				pod.OwnerReferences = nil
			}
		case "kind":
			pod.OwnerReferences[0].Kind = value
		case "labels":
			label, is, _ := strings.Cut(value, "=")
			pod.Labels = map[string]string{label: is}
		case "namespace":
			pod.Namespace = value
		case "phase":
			pod.Status.Phase = corev1.PodPhase(value)
		case "unready":
			pod.Status.Conditions[0].Status = corev1.ConditionFalse
		case "unset":
			pod.Status.Conditions = pod.Status.Conditions[1:]
		case "deleting":
			pod.DeletionTimestamp = &metav1.Time{Time: w.now}
		default:
			return fmt.Errorf("no such setting of a Pod: %q", key)
		}
	}
	return nil
}
