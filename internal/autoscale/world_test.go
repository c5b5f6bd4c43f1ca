package autoscale_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	api "coxswain.dev/cox/internal/apis/autoscaling"
	"coxswain.dev/cox/internal/autoscale"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// world is what a scenario has built so far: an autoscaler of a Deployment, and
// its Pods.
type world struct {
	autoscale.Snapshot
	pods  map[string]*corev1.Pod
	usage map[string]autoscale.Usage
	last  autoscale.Decision
	// refused is why the next rescale does not work.
	refused string
}

func newWorld() *world {
	w := &world{pods: map[string]*corev1.Pod{}, usage: map[string]autoscale.Usage{}}
	w.Now = start
	w.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
	w.Scale = &autoscalingv1.Scale{Status: autoscalingv1.ScaleStatus{Selector: "app=web"}}
	return w
}

// Answer is the decision about the world as it is.
func (w *world) Answer() string { return w.decide().String() }

func (w *world) decide() autoscale.Decision {
	w.Pods, w.Usage = slices.Collect(maps.Values(w.pods)), slices.Collect(maps.Values(w.usage))
	w.last = autoscale.Decide(w.Snapshot)
	if w.refused != "" {
		w.last = w.last.Refused(w.Snapshot, w.refused)
	}
	return w.last
}

// Do takes one statement:
//
//	hpa                     with the spec below; every time is a generation
//	scale N [SELECTOR]      the target's size; SELECTOR may be "none"
//	scale error TEXT        it cannot be read
//	pod NAME [SETTING]…     see podOf
//	gone NAME
//	usage error TEXT|none   what they use cannot be asked, or can again
//	rivals NAME…            autoscalers of the same Pods
//	clock +DURATION
//	refuse TEXT             a rescale does not work; "refuse no": it does
//	apply                   what was decided last has been done
//	forget                  the controller is started anew
func (w *world) Do(statement string) error {
	line, below, _ := strings.Cut(statement, "\n")
	words := strings.Fields(line)
	verb, rest := words[0], words[1:]
	text := strings.Join(rest[min(1, len(rest)):], " ")
	switch verb {
	case "hpa":
		w.Autoscaler.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{}
		w.Autoscaler.Generation++
		defer api.SetDefaults(w.Autoscaler)
		return yaml.Unmarshal([]byte(below), &w.Autoscaler.Spec)
	case "scale":
		return w.changeScale(rest, text)
	case "pod":
		return w.podOf(rest[0], rest[1:])
	case "gone":
		delete(w.pods, rest[0])
		delete(w.usage, rest[0])
	case "usage":
		w.UsageError = text
	case "rivals":
		w.Rivals = rest
	case "clock":
		by, err := time.ParseDuration(strings.TrimPrefix(rest[0], "+"))
		w.Now = w.Now.Add(by)
		return err
	case "refuse":
		if w.refused = strings.Join(rest, " "); w.refused == "no" {
			w.refused = ""
		}
	case "apply":
		w.apply()
	case "forget":
		w.History = autoscale.History{}
	default:
		return errors.New("no such verb")
	}
	return nil
}

func (w *world) changeScale(words []string, text string) error {
	if words[0] == "error" {
		w.Scale, w.ScaleError = nil, text
		return nil
	}
	replicas, err := strconv.ParseInt(words[0], 10, 32)
	selector := "app=web"
	if text != "" {
		selector = strings.TrimPrefix(text, "none")
	}
	w.Scale, w.ScaleError = &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: int32(replicas)}, Status: autoscalingv1.ScaleStatus{Selector: selector}}, ""
	return err
}

// apply does what was decided last.
func (w *world) apply() {
	w.Autoscaler.Status, w.History = w.last.Status, w.last.History
	if w.last.Rescale != nil {
		w.Scale.Spec.Replicas = w.last.Rescale.Replicas
	}
}

// podOf makes or changes a Pod, which by default runs for an hour, has been
// Ready since, and whose container main requests 100m and 100Mi:
//
//	cpu=200m memory=10Mi   what it uses; nothing is known where neither is given
//	cpu=…@side             of another container
//	request=50m|none       what is requested, of processor time
//	phase=Pending started=10s ready=no|5s deleting
//	window=15s end=-2s     the time that the usage is of
//	sidecar=NAME           another container, which requests as much
//	whole=200m|memory      what the Pod requests as a whole
//	started=none           it is not told since when it runs
func (w *world) podOf(name string, settings []string) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	pod.Spec.Containers = []corev1.Container{{Name: "main"}}
	pod.Status.Phase = corev1.PodRunning
	values := map[string]string{"request": "100m", "started": "1h", "ready": "1h", "window": "15s", "end": "0s"}
	used := map[string]corev1.ResourceList{}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		if key != "cpu" && key != "memory" {
			values[key] = value
			continue
		}
		amount, container, _ := strings.Cut(value, "@")
		if container == "" {
			container = "main"
		}
		if used[container] == nil {
			used[container] = corev1.ResourceList{}
		}
		quantity, err := resource.ParseQuantity(amount)
		if err != nil {
			return err
		}
		used[container][corev1.ResourceName(key)] = quantity
	}
	if err := w.settle(pod, values); err != nil {
		return err
	}
	w.pods[name] = pod
	delete(w.usage, name)
	if len(used) == 0 {
		return nil
	}
	end, err := time.ParseDuration(values["end"])
	window, err2 := time.ParseDuration(values["window"])
	usage := autoscale.Usage{Pod: name, End: w.Now.Add(end), Window: window}
	for _, container := range slices.Sorted(maps.Keys(used)) {
		usage.Containers = append(usage.Containers, autoscale.ContainerUsage{Name: container, Used: used[container]})
	}
	w.usage[name] = usage
	return errors.Join(err, err2)
}

// settle gives a Pod the settings that are not about its usage.
func (w *world) settle(pod *corev1.Pod, values map[string]string) error {
	ago := func(key string) (metav1.Time, error) {
		d, err := time.ParseDuration(values[key])
		return metav1.NewTime(w.Now.Add(-d)), err
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	for key, value := range values {
		var err error
		switch key {
		case "request", "window", "end":
		case "whole":
			pod.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}
			if value != "memory" {
				pod.Spec.Resources.Requests[corev1.ResourceCPU] = resource.MustParse(value)
			}
		case "phase":
			pod.Status.Phase = corev1.PodPhase(value)
		case "deleting":
			pod.DeletionTimestamp = &metav1.Time{Time: w.Now}
		case "sidecar":
			always := corev1.ContainerRestartPolicyAlways
			pod.Spec.InitContainers = []corev1.Container{{Name: "init"}, {Name: value, RestartPolicy: &always}}
		case "started":
			if value == "none" {
				continue
			}
			var at metav1.Time
			at, err = ago(key)
			pod.Status.StartTime = &at
		case "ready":
			if past, no := strings.CutPrefix(value, "no"); no {
				ready.Status, values[key] = corev1.ConditionFalse, strings.TrimPrefix(past, ",")
			}
			if values[key] != "" {
				ready.LastTransitionTime, err = ago(key)
			}
		default:
			err = fmt.Errorf("no such setting of a Pod: %q", key)
		}
		if err != nil {
			return err
		}
	}
	pod.Status.Conditions = []corev1.PodCondition{ready, {Type: corev1.PodInitialized, Status: corev1.ConditionFalse}}
	requests := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Mi")}
	if values["request"] != "none" {
		requests[corev1.ResourceCPU] = resource.MustParse(values["request"])
	}
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name != "init" {
				list[i].Resources.Requests = requests
			}
		}
	}
	return nil
}
