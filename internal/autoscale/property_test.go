package autoscale_test

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/autoscale"
)

// drawWorld has what an API would store, and what it would not.
func drawWorld(t *rapid.T) *world {
	w := newWorld()
	spec := &w.Autoscaler.Spec
	if rapid.Bool().Draw(t, "has min") {
		spec.MinReplicas = ptr.To(rapid.Int32Range(-1, 5).Draw(t, "min"))
	}
	spec.MaxReplicas = rapid.SampledFrom([]int32{-1, 0, 1, 5, 20, math.MaxInt32}).Draw(t, "max")
	for range rapid.IntRange(0, 3).Draw(t, "metrics") {
		spec.Metrics = append(spec.Metrics, drawMetric(t))
	}
	if rapid.Bool().Draw(t, "behavior") {
		spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: drawRules(t, "up"), ScaleDown: drawRules(t, "down")}
	}
	if rapid.IntRange(0, 9).Draw(t, "no scale") == 0 {
		w.Scale, w.ScaleError = nil, "not found"
		return w
	}
	w.Scale = &autoscalingv1.Scale{}
	w.Scale.Spec.Replicas = rapid.SampledFrom([]int32{0, 1, 2, 3, 10, 1000, math.MaxInt32}).Draw(t, "replicas")
	w.Scale.Status.Selector = rapid.SampledFrom([]string{"app=web", "app=web", "app=web", "", "a in"}).Draw(t, "selector")
	for i := range rapid.IntRange(0, 5).Draw(t, "pods") {
		drawPod(t, w, fmt.Sprintf("web-%d", i))
	}
	return w
}

func drawMetric(t *rapid.T) autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{}
	switch rapid.IntRange(0, 4).Draw(t, "target") {
	case 0:
	case 1:
		target.AverageValue = ptr.To(resource.MustParse(rapid.SampledFrom([]string{"0", "1n", "50m", "-1", "10E"}).Draw(t, "value")))
	default:
		target.AverageUtilization = ptr.To(rapid.SampledFrom([]int32{-1, 0, 1, 50, 100, 500, math.MaxInt32}).Draw(t, "percent"))
	}
	name := rapid.SampledFrom([]corev1.ResourceName{"cpu", "cpu", "memory", "other"}).Draw(t, "resource")
	switch rapid.IntRange(0, 5).Draw(t, "type") {
	case 0:
		return autoscalingv2.MetricSpec{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{}}
	case 1:
		kinds := []autoscalingv2.MetricSourceType{"Resource", "ContainerResource", "Pods", "Object", "External", "Nonsense", ""}
		return autoscalingv2.MetricSpec{Type: rapid.SampledFrom(kinds).Draw(t, "empty")}
	case 2:
		return autoscalingv2.MetricSpec{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: name, Container: "main", Target: target}}
	}
	return autoscalingv2.MetricSpec{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: name, Target: target}}
}

func drawRules(t *rapid.T, label string) *autoscalingv2.HPAScalingRules {
	if rapid.IntRange(0, 3).Draw(t, label+" none") == 0 {
		return nil
	}
	rules := &autoscalingv2.HPAScalingRules{}
	if rapid.Bool().Draw(t, label+" window") {
		rules.StabilizationWindowSeconds = ptr.To(rapid.SampledFrom([]int32{-1, 0, 60, 3600}).Draw(t, label+" seconds"))
	}
	if rapid.Bool().Draw(t, label+" selects") {
		rules.SelectPolicy = ptr.To(rapid.SampledFrom([]autoscalingv2.ScalingPolicySelect{"Max", "Min", "Disabled", "Nonsense"}).Draw(t, label+" policy"))
	}
	for range rapid.IntRange(0, 2).Draw(t, label+" policies") {
		rules.Policies = append(rules.Policies, autoscalingv2.HPAScalingPolicy{
			Type:          rapid.SampledFrom([]autoscalingv2.HPAScalingPolicyType{"Pods", "Percent", "Nonsense"}).Draw(t, label+" type"),
			Value:         rapid.SampledFrom([]int32{-5, 0, 1, 100, math.MaxInt32}).Draw(t, label+" value"),
			PeriodSeconds: rapid.SampledFrom([]int32{-1, 15, 1800}).Draw(t, label+" period"),
		})
	}
	return rules
}

func drawPod(t *rapid.T, w *world, name string) {
	settings := []string{
		"request=" + rapid.SampledFrom([]string{"100m", "100m", "0", "none"}).Draw(t, name+" request"),
		"phase=" + rapid.SampledFrom([]string{"Running", "Running", "Running", "Pending", "Failed", "Succeeded"}).Draw(t, name+" phase"),
		"ready=" + rapid.SampledFrom([]string{"1h", "1h", "5s", "no", "no,1m"}).Draw(t, name+" ready"),
		"started=" + rapid.SampledFrom([]string{"1h", "1m", "-1h"}).Draw(t, name+" started"),
	}
	if use := rapid.SampledFrom([]string{"", "0", "50m", "100m", "1000", "10P"}).Draw(t, name+" uses"); use != "" {
		settings = append(settings, "cpu="+use, "memory="+use)
	}
	if rapid.IntRange(0, 9).Draw(t, name+" deleting") == 0 {
		settings = append(settings, "deleting")
	}
	if err := w.podOf(name, settings); err != nil {
		t.Fatal(err)
	}
}

// Whatever is stored and whatever is used, a size is one that may be.
func TestASizeIsWithinTheBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range 3 {
			d := w.decide()
			if d.WakeAt.Sub(w.Now) != autoscale.Period {
				t.Fatalf("looks again after %s", d.WakeAt.Sub(w.Now))
			}
			if d.Rescale != nil {
				checkSize(t, w, d)
			}
			w.apply()
			w.Now = w.Now.Add(autoscale.Period)
		}
	})
}

func checkSize(t *rapid.T, w *world, d autoscale.Decision) {
	current, size, most := w.Scale.Spec.Replicas, d.Rescale.Replicas, w.Autoscaler.Spec.MaxReplicas
	least := ptr.Deref(w.Autoscaler.Spec.MinReplicas, 1)
	if least > most {
		return // no size is within
	}
	if size > most || size < least {
		t.Errorf("from %d to %d, which is not within %d and %d", current, size, least, most)
	}
	if size == current {
		t.Errorf("a change from %d to %d", current, size)
	}
	if current == 0 && least > 0 {
		t.Errorf("it is off, and gets %d", size)
	}
	if w.Autoscaler.Spec.Behavior == nil && current <= most && current >= least && int64(size) > max(4, 2*int64(current)) {
		t.Errorf("from %d to %d at once", current, size)
	}
}

func TestDecisionsDependOnNoOrderAndChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		first := w.decide()
		before := w.Snapshot
		before.Autoscaler = before.Autoscaler.DeepCopy()
		rand.Shuffle(len(w.Pods), func(i, j int) { w.Pods[i], w.Pods[j] = w.Pods[j], w.Pods[i] })
		rand.Shuffle(len(w.Usage), func(i, j int) { w.Usage[i], w.Usage[j] = w.Usage[j], w.Usage[i] })
		if diff := cmp.Diff(first, autoscale.Decide(w.Snapshot)); diff != "" {
			t.Errorf("decided otherwise the second time:\n%s", diff)
		}
		first.Refused(w.Snapshot, "no")
		if diff := cmp.Diff(before.Autoscaler, w.Autoscaler); diff != "" {
			t.Errorf("the autoscaler was changed:\n%s", diff)
		}
	})
}

// What does not change is told once.
func TestWarningsAreToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.Autoscaler.Spec.Behavior = nil
		w.decide()
		if w.last.Rescale != nil {
			return
		}
		w.apply()
		w.Now = w.Now.Add(time.Second)
		if d := w.decide(); d.Rescale == nil && len(d.Events) > 0 {
			t.Errorf("told again: %v", d.Events)
		}
	})
}
