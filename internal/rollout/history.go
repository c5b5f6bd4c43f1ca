package rollout

import (
	appsv1 "k8s.io/api/apps/v1"
)

// Bounds are maxSurge and maxUnavailable of a Deployment as counts.
func Bounds(d *appsv1.Deployment) (surge, unavailable int32) {
	w := newWave(Snapshot{Deployment: d})
	return w.maxSurge(), w.maxUnavailable()
}

// IsCurrent tells whether a ReplicaSet is made from the Deployment's template
// as it is now.
func IsCurrent(rs *appsv1.ReplicaSet, d *appsv1.Deployment) bool {
	return sameTemplate(&rs.Spec.Template, &d.Spec.Template)
}

// Revision is the revision that a ReplicaSet or a Deployment has by its
// annotations; 0 if it has none, or none that makes sense.
func Revision(annotations map[string]string) int64 { return revisionOf(annotations) }
