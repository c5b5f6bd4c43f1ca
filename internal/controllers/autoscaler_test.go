package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/controllers"
	"coxswain.dev/cox/internal/usage"
)

// meter is the agent of every node: each Pod's container uses the same.
type meter struct {
	client kubernetes.Interface
	// milli is in thousandths of a core.
	milli, asked atomic.Int64
}

func (m *meter) Node(string) (http.Handler, error) { return m, nil }

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked.Add(1)
	pods, err := m.client.CoreV1().Pods(metav1.NamespaceAll).List(r.Context(), metav1.ListOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var summary usage.Summary
	for _, pod := range pods.Items {
		rate := uint64(m.milli.Load()) * 1e6
		summary.Pods = append(summary.Pods, usage.Pod{Ref: usage.PodRef{Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID)}, Containers: []usage.Container{{
			Name: "main", Memory: &usage.Memory{},
			// Ready Pods are so since a whole second: the reading is later.
			CPU: &usage.CPU{Time: time.Now().Add(time.Second), UsageNanoCores: &rate, Window: time.Millisecond},
		}}})
	}
	json.NewEncoder(w).Encode(summary)
}

// startAutoscaling runs the controllers where usage is known.
func startAutoscaling(t *testing.T) (deployments, *meter) {
	t.Helper()
	m := &meter{}
	server := apitest.Start(t, apitest.WithConfig(func(c *apiserver.Config) { c.Nodes = m }))
	m.client = server.Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: server.Admin(), ClusterCA: server.CA()})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended with: %v", err)
		}
	})
	eventually(t, func() error {
		_, err := m.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	runKubelet(t, m.client)
	makeNode(t, m.client, "node")
	return deployments{t, m.client}, m
}

// autoscale makes an autoscaler that wants half of the request used.
func (d deployments) autoscale(kind, target string) *autoscalingv2.HorizontalPodAutoscaler {
	d.Helper()
	hpa, err := d.client.AutoscalingV2().HorizontalPodAutoscalers("default").Create(d.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: target},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kind, Name: target}, MaxReplicas: 4,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](50)},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		d.Fatal(err)
	}
	return hpa
}

// touch changes the autoscaler, which is looked at at once then, and not only
// with the next period.
func (d deployments) touch(name, patch string) {
	d.Helper()
	_, err := d.client.AutoscalingV2().HorizontalPodAutoscalers("default").Patch(d.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		d.Fatal(err)
	}
}

// says waits until a condition of the autoscaler has this reason.
func (d deployments) says(name string, kind autoscalingv2.HorizontalPodAutoscalerConditionType, reason string) *autoscalingv2.HorizontalPodAutoscaler {
	d.Helper()
	var hpa *autoscalingv2.HorizontalPodAutoscaler
	eventually(d.T, func() (err error) {
		if hpa, err = d.client.AutoscalingV2().HorizontalPodAutoscalers("default").Get(d.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range hpa.Status.Conditions {
			if c.Type == kind && c.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("want %s %s, and the status is %+v", kind, reason, hpa.Status)
	})
	return hpa
}

func requesting(cpu string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
}

func TestADeploymentIsScaledByWhatItsPodsUse(t *testing.T) {
	d, m := startAutoscaling(t)
	m.milli.Store(400)
	d.create(1, requesting("100m"))
	d.rolledOut()
	if m.asked.Load() > 0 {
		t.Errorf("asked %d times what is used, without an autoscaler", m.asked.Load())
	}
	d.autoscale("Deployment", "web")
	d.haveSets("web:v1 4 revision 1")
	hpa := d.says("web", autoscalingv2.ScalingActive, "ValidMetricFound")
	if hpa.Status.DesiredReplicas != 4 || hpa.Status.LastScaleTime == nil || *hpa.Status.CurrentMetrics[0].Resource.Current.AverageUtilization != 400 {
		t.Errorf("the status is %+v", hpa.Status)
	}
	eventually(t, func() error {
		events, err := d.client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=HorizontalPodAutoscaler,reason=SuccessfulRescale"})
		if err == nil && !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Message == "New size: 4; reason: cpu resource utilization (percentage of request) above target" && e.Source.Component == "horizontal-pod-autoscaler"
		}) {
			err = fmt.Errorf("the events are %+v", events.Items)
		}
		return err
	})
	d.rolledOut()
	m.milli.Store(1)
	d.touch("web", `{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}`)
	d.haveSets("web:v1 1 revision 1")
	d.says("web", autoscalingv2.ScalingLimited, "DesiredWithinRange")
}

func TestWhatCannotBeScaledIsSaid(t *testing.T) {
	d, m := startAutoscaling(t)
	for _, test := range []struct{ kind, target, want string }{
		{"Deployment", "ghost", `deployments.apps "ghost" not found`}, {"Daemon", "odd", `no matches for kind "Daemon" in group "apps"`},
	} {
		d.autoscale(test.kind, test.target)
		hpa := d.says(test.target, autoscalingv2.AbleToScale, "FailedGetScale")
		if got := hpa.Status.Conditions[0].Message; got != "the HPA controller was unable to get the target's current scale: "+test.want {
			t.Errorf("%s %s: %s", test.kind, test.target, got)
		}
	}
	if m.asked.Load() > 0 {
		t.Errorf("asked %d times what nothing uses", m.asked.Load())
	}
}

func TestTwoAutoscalersOfTheSamePodsDoNothing(t *testing.T) {
	d, m := startAutoscaling(t)
	m.milli.Store(50)
	d.create(1, requesting("100m"))
	d.rolledOut()
	d.autoscale("Deployment", "web")
	d.says("web", autoscalingv2.ScalingActive, "ValidMetricFound")
	set, err := d.client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(set.Items) != 1 {
		t.Fatal(set, err)
	}
	rival := set.Items[0].Name
	d.autoscale("ReplicaSet", rival)
	d.says(rival, autoscalingv2.ScalingActive, "AmbiguousSelector")
	if err := d.client.AutoscalingV2().HorizontalPodAutoscalers("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // its end may be seen after the change below
		d.touch(rival, fmt.Sprintf(`{"spec":{"maxReplicas":%d}}`, 5+time.Now().UnixNano()%1000))
		hpa, err := d.client.AutoscalingV2().HorizontalPodAutoscalers("default").Get(t.Context(), rival, metav1.GetOptions{})
		if err == nil && !slices.ContainsFunc(hpa.Status.Conditions, func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool { return c.Reason == "ValidMetricFound" }) {
			err = fmt.Errorf("the status is %+v", hpa.Status)
		}
		return err
	})
}
