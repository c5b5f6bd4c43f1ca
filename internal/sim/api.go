package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var errBroken = errors.New("the connection broke")

var resources = [kinds]schema.GroupResource{{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"}, {Resource: "pods"}}

// request is one call of a controller: it may meet a fault before it is
// carried out, or its answer may be lost after.
func request[O any](w *World, of kind, verb, name string, writes bool, carryOut func() (O, error)) (O, error) {
	var none O
	fate := w.faults.meet(w, writes)
	if w.recorder != nil && fate != fateFine {
		w.recorder.meets()
	}
	if w.process.dead {
		return none, context.Canceled
	}
	var err error
	switch fate {
	case fateConflict:
		err = apierrors.NewConflict(resources[of], name, errors.New("it has been changed"))
	case fateRefused:
		err = errBroken
	}
	if err != nil {
		w.ghost.refused = true
		w.say("  %s %s %s: %v", verb, of, name, err)
		w.record(of, verb, name, err)
		return none, err
	}
	answer, err := carryOut()
	w.ghost.refused = w.ghost.refused || err != nil
	if w.trace != nil && (writes || err != nil) {
		w.say("  %s %s %s: %s", verb, of, name, outcome(err))
	}
	w.record(of, verb, name, err)
	switch {
	case fate == fateLost && err == nil:
		w.say("  but the answer is lost")
		return none, errBroken
	case fate == fateCrashAfter:
		w.process.dead = true
	}
	return answer, err
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

// stored finds what a request is about.
func stored[O object](t *table[O], of kind, name string) (O, error) {
	found, exists := t.find(name)
	if !exists {
		return found, apierrors.NewNotFound(resources[of], name)
	}
	return found, nil
}

// unchanged checks the UID and the resourceVersion that a request names.
func unchanged(of kind, now metav1.Object, uid types.UID, version string) error {
	if uid != "" && uid != now.GetUID() || version != "" && version != now.GetResourceVersion() {
		return apierrors.NewConflict(resources[of], now.GetName(), fmt.Errorf("it has been changed: %s is not %s", version, now.GetResourceVersion()))
	}
	return nil
}

func preconditions(options metav1.DeleteOptions) (uid types.UID, version string) {
	if p := options.Preconditions; p != nil {
		if p.UID != nil {
			uid = *p.UID
		}
		if p.ResourceVersion != nil {
			version = *p.ResourceVersion
		}
	}
	return uid, version
}

// ownerPatch is what the controllers patch: owners, in a state as seen.
type ownerPatch struct {
	Metadata struct {
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
		OwnerReferences []struct {
			metav1.OwnerReference
			Patch string `json:"$patch"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
}

// owners are the owners after the patch; by a strategic merge patch, those
// that it does not name stay.
func (p ownerPatch) owners(before []metav1.OwnerReference, merge types.PatchType) []metav1.OwnerReference {
	var after []metav1.OwnerReference
	if merge == types.StrategicMergePatchType {
		after = slices.Clone(before)
	}
	for _, owner := range p.Metadata.OwnerReferences {
		after = slices.DeleteFunc(after, func(o metav1.OwnerReference) bool { return o.UID == owner.UID })
		if owner.Patch != "delete" {
			after = append(after, owner.OwnerReference)
		}
	}
	return after
}

func parsePatch(data []byte) (p ownerPatch, err error) {
	err = json.Unmarshal(data, &p)
	return p, err
}

// deploymentAPI is what the controllers may do with Deployments.
type deploymentAPI struct{ w *World }

func (a deploymentAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*appsv1.Deployment, error) {
	return request(a.w, kindDeployment, "get", name, false, func() (*appsv1.Deployment, error) {
		d, err := stored(&a.w.deployments, kindDeployment, name)
		if err == nil {
			a.w.ghost.liveRead = d.UID
		}
		return d, err
	})
}

func (a deploymentAPI) Update(_ context.Context, sent *appsv1.Deployment, _ metav1.UpdateOptions) (*appsv1.Deployment, error) {
	return request(a.w, kindDeployment, "update", sent.Name, true, func() (*appsv1.Deployment, error) {
		before, err := stored(&a.w.deployments, kindDeployment, sent.Name)
		if err == nil {
			err = unchanged(kindDeployment, before, sent.UID, sent.ResourceVersion)
		}
		if err != nil {
			return nil, err
		}
		after := *sent
		after.Status = before.Status
		a.w.putDeployment(before, &after)
		a.w.checkDeploymentWrite(before, &after)
		return after.DeepCopy(), nil
	})
}

func (a deploymentAPI) UpdateStatus(_ context.Context, sent *appsv1.Deployment, _ metav1.UpdateOptions) (*appsv1.Deployment, error) {
	return request(a.w, kindDeployment, "update status of", sent.Name, true, func() (*appsv1.Deployment, error) {
		before, err := stored(&a.w.deployments, kindDeployment, sent.Name)
		if err == nil {
			err = unchanged(kindDeployment, before, sent.UID, sent.ResourceVersion)
		}
		if err != nil {
			return nil, err
		}
		after := *before
		sent.Status.DeepCopyInto(&after.Status)
		a.w.putDeployment(nil, &after)
		a.w.checkTimeout(before, &after)
		return &after, nil
	})
}

func (a deploymentAPI) Create(context.Context, *appsv1.Deployment, metav1.CreateOptions) (*appsv1.Deployment, error) {
	panic("a controller creates no Deployment")
}

func (a deploymentAPI) Patch(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*appsv1.Deployment, error) {
	panic("a controller patches no Deployment")
}

func (a deploymentAPI) Delete(context.Context, string, metav1.DeleteOptions) error {
	panic("a controller deletes no Deployment")
}

// putDeployment stores a Deployment after a change.
func (w *World) putDeployment(before, after *appsv1.Deployment) {
	after.ResourceVersion = w.nextVersion()
	if before != nil && !reflect.DeepEqual(&before.Spec, &after.Spec) {
		after.Generation++
	}
	w.deployments.store(after)
}

// setAPI is what the controllers may do with ReplicaSets.
type setAPI struct{ w *World }

func (a setAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*appsv1.ReplicaSet, error) {
	return request(a.w, kindSet, "get", name, false, func() (*appsv1.ReplicaSet, error) {
		rs, err := stored(&a.w.sets, kindSet, name)
		if err == nil {
			a.w.ghost.liveRead = rs.UID
		}
		return rs, err
	})
}

func (a setAPI) Create(_ context.Context, sent *appsv1.ReplicaSet, _ metav1.CreateOptions) (*appsv1.ReplicaSet, error) {
	return request(a.w, kindSet, "create", sent.Name, true, func() (*appsv1.ReplicaSet, error) {
		if _, taken := a.w.sets.find(sent.Name); taken {
			return nil, apierrors.NewAlreadyExists(resources[kindSet], sent.Name)
		}
		made := *sent
		made.UID, made.CreationTimestamp, made.Generation, made.ResourceVersion = a.w.nextUID(), a.w.timestamp(), 1, a.w.nextVersion()
		a.w.sets.store(&made)
		a.w.say("    with %d replicas", *made.Spec.Replicas)
		a.w.checkSetWrite(nil, &made)
		return &made, nil
	})
}

func (a setAPI) Update(_ context.Context, sent *appsv1.ReplicaSet, _ metav1.UpdateOptions) (*appsv1.ReplicaSet, error) {
	return a.change("update", sent.Name, sent.UID, sent.ResourceVersion, func(after *appsv1.ReplicaSet) {
		if *after.Spec.Replicas != *sent.Spec.Replicas || after.Spec.MinReadySeconds != sent.Spec.MinReadySeconds {
			after.Generation++
		}
		a.w.say("    from %d to %d replicas", *after.Spec.Replicas, *sent.Spec.Replicas)
		after.Spec, after.Annotations, after.Labels = sent.Spec, sent.Annotations, sent.Labels
	})
}

func (a setAPI) UpdateStatus(_ context.Context, sent *appsv1.ReplicaSet, _ metav1.UpdateOptions) (*appsv1.ReplicaSet, error) {
	return a.change("update status of", sent.Name, sent.UID, sent.ResourceVersion, func(after *appsv1.ReplicaSet) {
		after.Status = sent.Status
		a.w.say("    %d replicas, %d ready, %d available", sent.Status.Replicas, sent.Status.ReadyReplicas, sent.Status.AvailableReplicas)
	})
}

func (a setAPI) Patch(_ context.Context, name string, merge types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*appsv1.ReplicaSet, error) {
	patch, err := parsePatch(data)
	if err != nil {
		return nil, err
	}
	return a.change("patch", name, patch.Metadata.UID, patch.Metadata.ResourceVersion, func(after *appsv1.ReplicaSet) {
		after.OwnerReferences = patch.owners(after.OwnerReferences, merge)
	})
}

func (a setAPI) change(verb, name string, uid types.UID, version string, change func(after *appsv1.ReplicaSet)) (*appsv1.ReplicaSet, error) {
	return request(a.w, kindSet, verb, name, true, func() (*appsv1.ReplicaSet, error) {
		before, err := stored(&a.w.sets, kindSet, name)
		if err == nil {
			err = unchanged(kindSet, before, uid, version)
		}
		if err != nil {
			return nil, err
		}
		after := a.w.changeSet(before, change)
		a.w.checkSetWrite(before, after)
		return after, nil
	})
}

// changeSet stores a changed copy of a ReplicaSet.
func (w *World) changeSet(before *appsv1.ReplicaSet, change func(after *appsv1.ReplicaSet)) *appsv1.ReplicaSet {
	after := *before
	change(&after)
	after.ResourceVersion = w.nextVersion()
	w.ghost.setChanged(before, &after)
	w.sets.store(&after)
	return &after
}

func (a setAPI) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	_, err := request(a.w, kindSet, "delete", name, true, func() (*appsv1.ReplicaSet, error) {
		rs, err := stored(&a.w.sets, kindSet, name)
		uid, version := preconditions(options)
		if err == nil {
			err = unchanged(kindSet, rs, uid, version)
		}
		if err == nil {
			a.w.checkSetDeletion(rs)
			a.w.sets.remove(rs, a.w.nextVersion())
		}
		return nil, err
	})
	return err
}

// podAPI is what the controllers may do with Pods.
type podAPI struct{ w *World }

func (a podAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Pod, error) {
	return request(a.w, kindPod, "get", name, false, func() (*corev1.Pod, error) { return stored(&a.w.pods, kindPod, name) })
}

func (a podAPI) Create(_ context.Context, sent *corev1.Pod, _ metav1.CreateOptions) (*corev1.Pod, error) {
	return request(a.w, kindPod, "create", sent.Name, true, func() (*corev1.Pod, error) {
		if _, taken := a.w.pods.find(sent.Name); taken {
			return nil, apierrors.NewAlreadyExists(resources[kindPod], sent.Name)
		}
		if len(a.w.pods.live) >= a.w.nodes.quota {
			return nil, apierrors.NewForbidden(resources[kindPod], sent.Name, errors.New("exceeded quota: small"))
		}
		made := a.w.makePod(sent)
		a.w.checkPodCreation(made)
		return made, nil
	})
}

func (a podAPI) Patch(_ context.Context, name string, merge types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Pod, error) {
	patch, err := parsePatch(data)
	if err != nil {
		return nil, err
	}
	return request(a.w, kindPod, "patch", name, true, func() (*corev1.Pod, error) {
		before, err := stored(&a.w.pods, kindPod, name)
		if err == nil {
			err = unchanged(kindPod, before, patch.Metadata.UID, patch.Metadata.ResourceVersion)
		}
		if err != nil {
			return nil, err
		}
		after := a.w.changePod(before, func(pod *corev1.Pod) { pod.OwnerReferences = patch.owners(pod.OwnerReferences, merge) })
		a.w.checkOwner("Pod", before, after)
		return after, nil
	})
}

func (a podAPI) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	_, err := request(a.w, kindPod, "delete", name, true, func() (*corev1.Pod, error) {
		pod, err := stored(&a.w.pods, kindPod, name)
		uid, version := preconditions(options)
		if err == nil {
			err = unchanged(kindPod, pod, uid, version)
		}
		if err == nil {
			a.w.checkPodDeletion(pod)
			a.w.deletePod(pod, byController)
		}
		return nil, err
	})
	return err
}

func (a podAPI) Update(context.Context, *corev1.Pod, metav1.UpdateOptions) (*corev1.Pod, error) {
	panic("a controller updates no Pod")
}

func (a podAPI) UpdateStatus(context.Context, *corev1.Pod, metav1.UpdateOptions) (*corev1.Pod, error) {
	panic("a controller writes no Pod's status")
}
