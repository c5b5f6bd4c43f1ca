package reconcile

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// manyDeployments is a world of Deployments that are rolled out, in the caches
// that client-go keeps.
func manyDeployments(b *testing.B, count int) (*Deployments, cache.Indexer) {
	w := newWorld(b)
	indexers := cache.Indexers{ByController: IndexController, ByNamespace: cache.MetaNamespaceIndexFunc}
	deployments := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	sets := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	one := w.webDeployment(3)
	var template *appsv1.ReplicaSet
	for range 4 {
		if _, err := w.deployment.Reconcile(b.Context(), web); err != nil {
			b.Fatal(err)
		}
		for _, rs := range w.sets.stored {
			template = rs.DeepCopy()
			template.Status = appsv1.ReplicaSetStatus{Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, ObservedGeneration: rs.Generation}
			w.sets.put(template)
		}
		w.deployments.sync()
		w.sets.sync()
	}
	w.deployment.Deployments, w.deployment.Sets = deployments, sets
	var all, allSets []any
	for i := range count {
		d := w.deployments.stored["web"].DeepCopy()
		d.Name, d.UID = fmt.Sprintf("web-%d", i), types.UID(fmt.Sprintf("d-%d", i))
		d.Spec.Template = one.Spec.Template
		rs := template.DeepCopy()
		rs.Name, rs.UID = fmt.Sprintf("web-%d-%s", i, template.Labels[appsv1.DefaultDeploymentUniqueLabelKey]), types.UID(fmt.Sprintf("rs-%d", i))
		rs.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
		all, allSets = append(all, d), append(allSets, rs)
	}
	if err := deployments.Replace(all, "1000000"); err != nil {
		b.Fatal(err)
	}
	if err := sets.Replace(allSets, "1000000"); err != nil {
		b.Fatal(err)
	}
	w.deployment.DeploymentClient = nil // nothing is written any more
	return w.deployment, sets
}

// BenchmarkOneOfMany is what one change of a ReplicaSet's status costs its
// Deployment: the owner is found, and decided about. The ratio is to the same
// with one Deployment, in the same run.
func BenchmarkOneOfMany(b *testing.B) {
	var alone time.Duration
	for _, count := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("deployments=%d", count), func(b *testing.B) {
			c, sets := manyDeployments(b, count)
			items := sets.List()
			if _, err := c.Reconcile(b.Context(), c.Owners(items[0].(*appsv1.ReplicaSet))[0]); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				for _, k := range c.Owners(items[i%len(items)].(*appsv1.ReplicaSet)) {
					c.Own.Look()
					if _, err := c.Reconcile(b.Context(), k); err != nil {
						b.Fatal(err)
					}
				}
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
