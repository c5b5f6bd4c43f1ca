package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// manyDeployments is a world of so many Deployments that are rolled out, each
// with a ReplicaSet and a Pod, in the caches that client-go keeps, and the
// world that web is reconciled in.
func manyDeployments(b *testing.B, count int, strategy appsv1.DeploymentStrategyType) *world {
	w := newWorld(b)
	w.deployment(1, func(d *appsv1.Deployment) { d.Spec.Strategy.Type = strategy })
	w.settle(w.reconcileDeployment)
	hashed := copied(w.sets.objects[w.onlySet()])
	hashed.Generation = 1
	hashed.Status = appsv1.ReplicaSetStatus{Replicas: 1, FullyLabeledReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, ObservedGeneration: 1, TerminatingReplicas: new(int32)}
	w.sets.put(hashed)
	w.settle(w.reconcileDeployment)
	w.pod("web", ownedBySet(hashed), func(pod *corev1.Pod) { pod.Labels = hashed.Labels })
	d, pod := copied(w.deployments.objects["web"]), w.pods.objects["web"]
	for i := range count - 1 {
		d, set, pod := copied(d), copied(hashed), copied(pod)
		d.Name, d.UID = fmt.Sprintf("web-%d", i), ""
		d = w.deployments.put(d)
		set.Name, set.UID = fmt.Sprintf("web-%d-%s", i, hashed.Labels[appsv1.DefaultDeploymentUniqueLabelKey]), ""
		set.OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
		set = w.sets.put(set)
		pod.Name, pod.UID, pod.OwnerReferences = set.Name+"-1", "", []metav1.OwnerReference{*ownedBySet(set)}
		w.pods.put(pod)
	}
	w.show()
	return w
}

// BenchmarkOneOfMany is what a change of one ReplicaSet and of its Pod costs
// among so many others of one namespace: who is concerned is found, and both
// are decided about. times-one is the ratio to the same with one Deployment,
// in the same run: it does not grow with their number.
func BenchmarkOneOfMany(b *testing.B) {
	for _, strategy := range []appsv1.DeploymentStrategyType{appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType} {
		var alone time.Duration
		for _, count := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("strategy=%s/deployments=%d", strategy, count), func(b *testing.B) {
				w := manyDeployments(b, count, strategy)
				pod := w.pods.objects["web"]
				item, _, err := w.sets.cache.GetByKey("default/" + pod.OwnerReferences[0].Name)
				if err != nil {
					b.Fatal(err)
				}
				set := item.(*appsv1.ReplicaSet)
				w.asked()
				for b.Loop() {
					w.own.Look()
					w.lookAt(w.setController.Owners(pod), w.setController.Reconcile)
					w.lookAt(w.deploymentController.Owners(set), w.deploymentController.Reconcile)
					w.deploymentController.Waiting(pod)
				}
				if len(w.requests) > 0 {
					b.Fatalf("nothing was to be done, and there was %q", w.requests[0])
				}
				each := b.Elapsed() / time.Duration(b.N)
				if count == 1 {
					alone = each
				}
				if alone > 0 {
					b.ReportMetric(float64(each)/float64(alone), "times-one")
				}
			})
		}
	}
}
