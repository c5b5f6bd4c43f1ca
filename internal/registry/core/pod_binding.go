package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
)

// bindingStorage serves pods/binding: it gives a Pod its node.
type bindingStorage struct{ store *genericregistry.Store }

var _ rest.NamedCreater = &bindingStorage{}

func (s *bindingStorage) New() runtime.Object   { return &corev1.Binding{} }
func (s *bindingStorage) Destroy()              {}
func (s *bindingStorage) NamespaceScoped() bool { return true }

// Create binds the named Pod, in one write: its node, the binding's
// annotations, and the condition that says so. A Pod that has a node or is on
// its way out is refused with a conflict.
func (s *bindingStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %#v", obj))
	}
	if name != binding.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if binding.Target.Name == "" {
		return nil, apierrors.NewBadRequest("target.name: Required value")
	}
	if validate != nil {
		if err := validate(ctx, binding.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := s.write(ctx, name, binding, len(options.DryRun) > 0); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// write binds the Pod, if it is the one that the binding was made for.
func (s *bindingStorage) write(ctx context.Context, name string, binding *corev1.Binding, dryRun bool) error {
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return err
	}
	var preconditions storage.Preconditions
	if binding.UID != "" {
		preconditions.UID = &binding.UID
	}
	if binding.ResourceVersion != "" {
		preconditions.ResourceVersion = &binding.ResourceVersion
	}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, s.store.NewFunc(), false, &preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		return bind(obj.(*corev1.Pod), binding)
	}), dryRun, nil)
	var status apierrors.APIStatus
	switch {
	case err == nil || errors.As(err, &status):
		return err
	case storage.IsNotFound(err):
		return apierrors.NewNotFound(corev1.Resource("pods"), name)
	default:
		return apierrors.NewConflict(corev1.Resource("pods/binding"), name, err)
	}
}

func bind(pod *corev1.Pod, binding *corev1.Binding) (runtime.Object, error) {
	switch {
	case pod.DeletionTimestamp != nil:
		return nil, fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return nil, fmt.Errorf("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) != 0:
		return nil, fmt.Errorf("pod %v has non-empty .spec.schedulingGates", pod.Name)
	}
	pod.Spec.NodeName = binding.Target.Name
	pod.Status.NominatedNodeName = "" // it was a wish for this moment
	for key, value := range binding.Annotations {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value)
	}
	setPodCondition(pod, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	return pod, nil
}

// setPodCondition adds a condition that holds from now on, or replaces it.
func setPodCondition(pod *corev1.Pod, condition corev1.PodCondition) {
	condition.LastTransitionTime, condition.ObservedGeneration = metav1.NewTime(time.Now()), pod.Generation
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == condition.Type {
			pod.Status.Conditions[i] = condition
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, condition)
}
