package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/apis/core"
)

// AddDefaults registers the defaults of every apps/v1 kind with scheme.
func AddDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&appsv1.Deployment{}, func(obj any) { SetDeploymentDefaults(obj.(*appsv1.Deployment)) })
	scheme.AddTypeDefaultingFunc(&appsv1.DeploymentList{}, func(obj any) {
		for i := range obj.(*appsv1.DeploymentList).Items {
			SetDeploymentDefaults(&obj.(*appsv1.DeploymentList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&appsv1.ReplicaSet{}, func(obj any) { SetReplicaSetDefaults(obj.(*appsv1.ReplicaSet)) })
	scheme.AddTypeDefaultingFunc(&appsv1.ReplicaSetList{}, func(obj any) {
		for i := range obj.(*appsv1.ReplicaSetList).Items {
			SetReplicaSetDefaults(&obj.(*appsv1.ReplicaSetList).Items[i])
		}
	})
}

// SetDeploymentDefaults fills in what a Deployment leaves out.
func SetDeploymentDefaults(d *appsv1.Deployment) {
	core.SetPodSpecDefaults(&d.Spec.Template.Spec)
	setIfNil(&d.Spec.Replicas, 1)
	setIfNil(&d.Spec.RevisionHistoryLimit, 10)
	setIfNil(&d.Spec.ProgressDeadlineSeconds, 600)
	if d.Spec.Strategy.Type == "" {
		d.Spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return
	}
	if d.Spec.Strategy.RollingUpdate == nil {
		d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
	}
	setRollingDefaults(d.Spec.Strategy.RollingUpdate, intstr.FromString("25%"))
}

// SetReplicaSetDefaults fills in what a ReplicaSet leaves out.
func SetReplicaSetDefaults(rs *appsv1.ReplicaSet) {
	core.SetPodSpecDefaults(&rs.Spec.Template.Spec)
	setIfNil(&rs.Spec.Replicas, 1)
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
