package plan

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/fielddiff"
	"coxswain.dev/cox/internal/rollout"
)

// Make foresees an update. It reads nothing but its argument.
func Make(in Input) Plan {
	p := Plan{Namespace: in.After.Namespace, Name: in.After.Name, Action: Create, Paused: in.After.Spec.Paused}
	if in.Before != nil {
		p.compare(in.Before, in.After)
	}
	p.Strategy = strategyOf(in.After)
	p.Pods = PodModel{in.Model.ReadyAfter.Seconds(), in.After.Spec.MinReadySeconds, in.Model.StopAfter.Seconds()}

	w := newWorld(in)
	w.run()
	p.Waves, p.Outcome = w.waves, w.outcome()
	p.ToRevision = rollout.Revision(w.deployment.Annotations)
	p.Problems = w.problems(in)
	return p
}

func (p *Plan) compare(before, after *appsv1.Deployment) {
	p.FromRevision = rollout.Revision(before.Annotations)
	p.Template = fielddiff.Of(before.Spec.Template, after.Spec.Template)
	from, to := before.Spec, after.Spec
	from.Template = to.Template
	p.Settings = fielddiff.Of(from, to)
	p.Metadata = fielddiff.Of(ownMetadata(before), ownMetadata(after))
	p.Action = Update
	if len(p.Template) == 0 && len(p.Settings) == 0 && len(p.Metadata) == 0 {
		p.Action = None
	}
	status, wanted := before.Status, replicasOf(before)
	p.UnderWay = status.UpdatedReplicas != wanted || status.Replicas != wanted || status.AvailableReplicas != wanted
}

// ownMetadata is what users write of the metadata that can be changed.
func ownMetadata(d *appsv1.Deployment) metav1.ObjectMeta {
	annotations := map[string]string{}
	for key, value := range d.Annotations {
		if key != corev1.LastAppliedConfigAnnotation && key != rollout.RevisionAnnotation {
			annotations[key] = value
		}
	}
	return metav1.ObjectMeta{Labels: d.Labels, Annotations: annotations}
}

func strategyOf(d *appsv1.Deployment) Strategy {
	surge, unavailable := rollout.Bounds(d)
	wanted := replicasOf(d)
	s := Strategy{Type: string(d.Spec.Strategy.Type), Replicas: wanted, MostPods: wanted + surge, LeastAvailable: wanted - unavailable}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		s.LeastAvailable = 0
		return s
	}
	s.Type = string(appsv1.RollingUpdateDeploymentStrategyType)
	if rolling := d.Spec.Strategy.RollingUpdate; rolling != nil {
		s.MaxSurge, s.MaxUnavailable = boundText(rolling.MaxSurge), boundText(rolling.MaxUnavailable)
	}
	return s
}

func boundText(bound *intstr.IntOrString) string {
	if bound == nil {
		return "0"
	}
	return bound.String()
}

func replicasOf(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func seconds(d time.Duration) float64 { return d.Seconds() }
