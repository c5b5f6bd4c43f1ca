package apps

import (
	"maps"
	"math"

	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/apis/core"
)

// addOlderDefaults registers what each older version fills in, as Kubernetes
// v1.15 did, the last one to serve them. Lists are never sent in.
func addOlderDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&extensionsv1beta1.Deployment{}, func(obj any) { setExtensionsDeploymentDefaults(obj.(*extensionsv1beta1.Deployment)) })
	scheme.AddTypeDefaultingFunc(&extensionsv1beta1.ReplicaSet{}, func(obj any) { setExtensionsReplicaSetDefaults(obj.(*extensionsv1beta1.ReplicaSet)) })
	scheme.AddTypeDefaultingFunc(&appsv1beta1.Deployment{}, func(obj any) { setBeta1DeploymentDefaults(obj.(*appsv1beta1.Deployment)) })
	scheme.AddTypeDefaultingFunc(&appsv1beta2.Deployment{}, func(obj any) { setBeta2DeploymentDefaults(obj.(*appsv1beta2.Deployment)) })
	scheme.AddTypeDefaultingFunc(&appsv1beta2.ReplicaSet{}, func(obj any) { setBeta2ReplicaSetDefaults(obj.(*appsv1beta2.ReplicaSet)) })
}

// setExtensionsDeploymentDefaults: one Pod at a time, every old ReplicaSet
// kept, no deadline.
func setExtensionsDeploymentDefaults(d *extensionsv1beta1.Deployment) {
	core.SetPodSpecDefaults(&d.Spec.Template.Spec)
	setLabelDefaults(&d.ObjectMeta, &d.Spec.Selector, &d.Spec.Template)
	setIfNil(&d.Spec.Replicas, 1)
	setIfNil(&d.Spec.RevisionHistoryLimit, math.MaxInt32)
	setIfNil(&d.Spec.ProgressDeadlineSeconds, math.MaxInt32)
	strategy := &d.Spec.Strategy
	setIfEmpty(&strategy.Type, extensionsv1beta1.RollingUpdateDeploymentStrategyType)
	if strategy.Type == extensionsv1beta1.RollingUpdateDeploymentStrategyType || strategy.RollingUpdate != nil {
		setIfNil(&strategy.RollingUpdate, extensionsv1beta1.RollingUpdateDeployment{})
		setRollingDefaults((*appsv1.RollingUpdateDeployment)(strategy.RollingUpdate), intstr.FromInt32(1))
	}
}

// setBeta1DeploymentDefaults: a quarter at a time, two old ReplicaSets kept.
func setBeta1DeploymentDefaults(d *appsv1beta1.Deployment) {
	core.SetPodSpecDefaults(&d.Spec.Template.Spec)
	setLabelDefaults(&d.ObjectMeta, &d.Spec.Selector, &d.Spec.Template)
	setIfNil(&d.Spec.Replicas, 1)
	setIfNil(&d.Spec.RevisionHistoryLimit, 2)
	setIfNil(&d.Spec.ProgressDeadlineSeconds, 600)
	strategy := &d.Spec.Strategy
	setIfEmpty(&strategy.Type, appsv1beta1.RollingUpdateDeploymentStrategyType)
	if strategy.Type == appsv1beta1.RollingUpdateDeploymentStrategyType {
		setIfNil(&strategy.RollingUpdate, appsv1beta1.RollingUpdateDeployment{})
		setRollingDefaults((*appsv1.RollingUpdateDeployment)(strategy.RollingUpdate), intstr.FromString("25%"))
	}
}

// setBeta2DeploymentDefaults are those that apps/v1 has kept.
func setBeta2DeploymentDefaults(d *appsv1beta2.Deployment) {
	core.SetPodSpecDefaults(&d.Spec.Template.Spec)
	setIfNil(&d.Spec.Replicas, 1)
	setIfNil(&d.Spec.RevisionHistoryLimit, 10)
	setIfNil(&d.Spec.ProgressDeadlineSeconds, 600)
	strategy := &d.Spec.Strategy
	setIfEmpty(&strategy.Type, appsv1beta2.RollingUpdateDeploymentStrategyType)
	if strategy.Type == appsv1beta2.RollingUpdateDeploymentStrategyType {
		setIfNil(&strategy.RollingUpdate, appsv1beta2.RollingUpdateDeployment{})
		setRollingDefaults((*appsv1.RollingUpdateDeployment)(strategy.RollingUpdate), intstr.FromString("25%"))
	}
}

func setExtensionsReplicaSetDefaults(rs *extensionsv1beta1.ReplicaSet) {
	core.SetPodSpecDefaults(&rs.Spec.Template.Spec)
	setLabelDefaults(&rs.ObjectMeta, &rs.Spec.Selector, &rs.Spec.Template)
	setIfNil(&rs.Spec.Replicas, 1)
}

func setBeta2ReplicaSetDefaults(rs *appsv1beta2.ReplicaSet) {
	core.SetPodSpecDefaults(&rs.Spec.Template.Spec)
	setIfNil(&rs.Spec.Replicas, 1)
}

// setLabelDefaults gives the template's labels to what selects by them and to
// the object itself: before apps/v1beta2 neither had to be written.
func setLabelDefaults(meta *metav1.ObjectMeta, selector **metav1.LabelSelector, template *corev1.PodTemplateSpec) {
	if template.Labels == nil {
		return
	}
	setIfNil(selector, metav1.LabelSelector{MatchLabels: maps.Clone(template.Labels)})
	if len(meta.Labels) == 0 {
		meta.Labels = maps.Clone(template.Labels)
	}
}

func setRollingDefaults(rolling *appsv1.RollingUpdateDeployment, step intstr.IntOrString) {
	setIfNil(&rolling.MaxUnavailable, step)
	setIfNil(&rolling.MaxSurge, step)
}

func setIfEmpty[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}
