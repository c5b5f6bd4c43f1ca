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

// RestoredAnnotations are the annotations of a Deployment that goes back to
// the template of one of its ReplicaSets: what went with that template, such
// as kubernetes.io/change-cause, comes back with it; the controller's own and
// kubectl's stay.
func RestoredAnnotations(d *appsv1.Deployment, rs *appsv1.ReplicaSet) map[string]string {
	restored := map[string]string{}
	for key, value := range d.Annotations {
		if notCopied[key] {
			restored[key] = value
		}
	}
	for key, value := range rs.Annotations {
		if !notCopied[key] {
			restored[key] = value
		}
	}
	return restored
}
